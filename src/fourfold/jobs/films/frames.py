"""Frames through the network in order, several of them under way."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from typing import Final, NamedTuple

import numpy as np

from fourfold.engine.upscaler import Upscaler
from fourfold.films.decode import Frame
from fourfold.imaging.arrays import AnyImage
from fourfold.imaging.yuv import Planes, Yuv
from fourfold.jobs.stages import Cancelled

STOPPED: Final = "stopped; finished segments are kept, the same call goes on"
_LOOK: Final = 0.1
"""Seconds after which a wait for the network looks whether to stop."""


_Waiting = tuple[Frame, Future[AnyImage | Planes], bool]


class Enlarged(NamedTuple):
    """A frame and what became of it."""

    frame: Frame
    pixels: AnyImage | Planes
    repeated: bool
    """Whether it equals the frame before, and cost nothing."""


def enlarge_frames(
    frames: Iterable[Frame],
    upscaler: Upscaler,
    *,
    yuv: Yuv | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Iterator[Enlarged]:
    """Each frame with its enlargement, in order; as many are computed at once as pays.

    With `yuv` as planes, where the network makes them.

    Raises `Cancelled` at once, though a frame may take seconds: its thread is left to itself then
    and ends with the frame. It is no daemon, which would not outlive the interpreter.
    """
    pool: ThreadPoolExecutor | None = None
    engine = upscaler
    waiting: deque[_Waiting] = deque()
    last: AnyImage | None = None
    result: Future[AnyImage | Planes] | None = None
    try:
        for frame in frames:
            if cancelled is not None and cancelled():
                raise Cancelled(STOPPED)
            if pool is None:
                engine = upscaler.for_frames(*frame.pixels.shape[:2])
                pool = ThreadPoolExecutor(engine.lanes, "fourfold-network")
            repeated = last is not None and np.array_equal(frame.pixels, last)
            if result is None or not repeated:
                result = pool.submit(enlarge, engine, frame.pixels, yuv)
            last = frame.pixels
            waiting.append((frame, result, repeated))
            # With several lanes one more waits, so that none is idle; a large frame alone may not.
            while waiting and (
                len(waiting) > engine.lanes or waiting[0][1].done() or engine.lanes == 1
            ):
                yield _first(waiting, cancelled)
        while waiting:
            yield _first(waiting, cancelled)
    finally:
        if pool is not None:
            pool.shutdown(wait=False, cancel_futures=True)


def enlarge(engine: Upscaler, pixels: AnyImage, yuv: Yuv | None) -> AnyImage | Planes:
    """A frame enlarged, as planes where they are asked for and the network makes them."""
    planes = None if yuv is None else engine.planes(pixels, yuv)
    return engine.upscale(pixels) if planes is None else planes


def _first(waiting: deque[_Waiting], cancelled: Callable[[], bool] | None) -> Enlarged:
    frame, result, repeated = waiting[0]
    while not result.done():
        try:
            result.result(None if cancelled is None else _LOOK)
        except NotYet:
            if cancelled is not None and cancelled():
                raise Cancelled(STOPPED) from None
    waiting.popleft()
    return Enlarged(frame, result.result(), repeated)


__all__ = ["STOPPED", "Enlarged", "enlarge", "enlarge_frames"]
