"""Three threads and two short queues: decode, enlarge, encode. Nothing else holds frames."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from fourfold.engine.upscaler import Upscaler
from fourfold.films.decode import Frame, FrameReader
from fourfold.films.encode import SegmentEncoder
from fourfold.films.packets import Stamp
from fourfold.imaging.arrays import AnyImage
from fourfold.imaging.resize import imresize
from fourfold.jobs.films.progress import Meter
from fourfold.jobs.films.scratch import Scratch
from fourfold.jobs.films.settings import Plan
from fourfold.jobs.stages import Cancelled, Channel, Crew, call_until

_DECODED_FRAMES: Final = 4
_ENLARGED_FRAMES: Final = 1
"""Frames waiting between the threads; an enlarged one may take 88 MB."""


_STOPPED: Final = "stopped; finished segments are kept, the same call goes on"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came out of the source."""

    frames: int
    repeated: int
    damaged: int
    moved: int


def render(
    plan: Plan,
    upscaler: Upscaler,
    scratch: Scratch,
    *,
    done: int,
    first_segment: int,
    meter: Meter,
    cancelled: Callable[[], bool],
) -> Rendered:
    """Enlarge every frame after the `done` first ones into segments in `scratch`.

    Raises `Cancelled` between two frames, and whatever a thread fails with.
    """
    window = plan.window
    reader = FrameReader(plan.info, start=window.start, end=window.end, skip=done)
    crew = Crew()
    decoded: Channel[Frame] = Channel(_DECODED_FRAMES, crew.stop)
    enlarged: Channel[tuple[AnyImage, Stamp]] = Channel(_ENLARGED_FRAMES, crew.stop)
    limit = None if plan.frames is None else max(0, plan.frames - done)
    crew.start(lambda: _decode(reader, decoded, limit), "decode")
    crew.start(lambda: _encode(plan, enlarged, scratch, first_segment), "encode")
    count = repeated = 0
    last: AnyImage | None = None
    result: AnyImage | None = None
    try:
        for frame in decoded:
            if cancelled():
                raise Cancelled(_STOPPED)
            same = last is not None and np.array_equal(frame.pixels, last)
            if result is None or not same:
                result = _enlarged(upscaler, frame.pixels, cancelled)
                if plan.preview:
                    result = beside_bicubic(frame.pixels, result, plan)
            last = frame.pixels
            enlarged.put((result, Stamp(frame.pts, frame.duration)))
            count, repeated = count + 1, repeated + same
            meter.frame(repeated=same)
        enlarged.end()
    except BaseException:
        crew.stop.set()
        raise
    finally:
        crew.join()
    return Rendered(done + count, repeated, reader.damaged, reader.moved)


def _enlarged(upscaler: Upscaler, pixels: AnyImage, cancelled: Callable[[], bool]) -> AnyImage:
    """A frame; `Cancelled` at once, though it takes seconds."""
    try:
        return call_until(lambda: upscaler.upscale(pixels), cancelled)
    except InterruptedError as error:
        raise Cancelled(_STOPPED) from error


def _decode(reader: FrameReader, decoded: Channel[Frame], limit: int | None) -> None:
    for count, frame in enumerate(reader if limit != 0 else ()):
        if not decoded.put(frame):
            return
        if limit is not None and count + 1 >= limit:
            break
    decoded.end()


def _encode(
    plan: Plan, enlarged: Channel[tuple[AnyImage, Stamp]], scratch: Scratch, number: int
) -> None:
    encoder: SegmentEncoder | None = None
    for pixels, stamp in enlarged:
        encoder = encoder or SegmentEncoder(plan.encoding)
        encoder.add(pixels, stamp)
        if len(encoder) == plan.segment_frames:
            scratch.add(encoder.finish(), number)
            encoder, number = None, number + 1
    # The channel also ends when the work is stopped; a segment cut short would then be wrong.
    if encoder is not None and not enlarged.stopped:
        scratch.add(encoder.finish(), number)


def beside_bicubic(lr: AnyImage, sr: AnyImage, plan: Plan) -> AnyImage:
    """The bicubic enlargement on the left, the result on the right, `(H, 2W, 3)`."""
    height, width = sr.shape[:2]
    bicubic: Any = imresize(lr, size=(height, width))
    return np.concatenate([bicubic, sr], axis=1)


__all__ = ["Cancelled", "Rendered", "beside_bicubic", "render"]
