"""Three threads and two short queues: decode, enlarge, encode. Nothing else holds frames."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, Full, Queue
from typing import Any, Final, Generic, TypeVar

import numpy as np

from fourfold.engine.upscaler import Upscaler
from fourfold.errors import FourfoldError
from fourfold.films.decode import Frame, FrameReader
from fourfold.films.encode import SegmentEncoder, to_frame
from fourfold.films.kept import Keeper, kept_frames
from fourfold.films.packets import Stamp, read_segment
from fourfold.imaging.arrays import AnyImage
from fourfold.imaging.resize import imresize
from fourfold.jobs.films.parts import FilmPart
from fourfold.jobs.films.progress import Meter
from fourfold.jobs.films.scratch import Scratch
from fourfold.jobs.films.settings import Plan

_DECODED_FRAMES: Final = 4
_ENLARGED_FRAMES: Final = 1
"""Frames waiting between the threads; an enlarged one may take 88 MB."""

_WAIT: Final = 0.1

KEEP_SECONDS = 30.0
"""Work after which the frames of an unfinished segment are written to disk: what a kill can cost."""

T = TypeVar("T")


class Cancelled(FourfoldError):
    """The caller asked to stop; finished segments are kept and the same call goes on."""

    exit_code = 130


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came out of the source."""

    frames: int
    repeated: int
    damaged: int
    moved: int
    captions: int
    """Frames of this run with closed captions."""


class _Channel(Generic[T]):
    """A bounded queue that ends, and that lets go when another thread has failed."""

    def __init__(self, size: int, stop: threading.Event) -> None:
        self._queue: Queue[T | None] = Queue(size)
        self._stop = stop

    @property
    def stopped(self) -> bool:
        """Whether the work has been broken off; the channel then ends before its end."""
        return self._stop.is_set()

    def put(self, item: T | None) -> bool:
        """False when the work has been stopped."""
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_WAIT)
                return True
            except Full:
                continue
        return False

    def __iter__(self) -> Iterator[T]:
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=_WAIT)
            except Empty:
                continue
            if item is None:
                return
            yield item


class _Crew:
    """Threads whose first failure stops all and is raised by `join`."""

    def __init__(self) -> None:
        self.stop = threading.Event()
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], None], name: str) -> None:
        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # handed to the caller's thread
                self._failure = self._failure or error
                self.stop.set()

        thread = threading.Thread(target=guarded, name=f"fourfold-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join()
        if self._failure is not None:
            raise self._failure


def render(
    part: FilmPart,
    upscaler: Upscaler,
    scratch: Scratch,
    *,
    meter: Meter | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Rendered:
    """Enlarge the frames of a part into segments in `scratch`, from what is kept there on.

    Raises `Cancelled` between two frames, and whatever a thread fails with.
    """
    plan = part.plan
    kept, ready = scratch.kept(part.number)
    done = part.first + ready
    window = plan.window
    reader = FrameReader(plan.info, start=window.start, end=window.end, skip=done)
    crew = _Crew()
    decoded: _Channel[Frame] = _Channel(_DECODED_FRAMES, crew.stop)
    enlarged: _Channel[tuple[AnyImage, Stamp]] = _Channel(_ENLARGED_FRAMES, crew.stop)
    limit = None if part.stop is None else max(0, part.stop - done)
    crew.start(lambda: _decode(reader, decoded, limit), "decode")
    crew.start(lambda: _encode(plan, enlarged, scratch, part.number, kept), "encode")
    count = repeated = 0
    last: AnyImage | None = None
    result: AnyImage | None = None
    try:
        for frame in decoded:
            if cancelled is not None and cancelled():
                raise Cancelled("stopped; finished segments are kept, the same call goes on")
            same = last is not None and np.array_equal(frame.pixels, last)
            if result is None or not same:
                result = upscaler.upscale(frame.pixels)
                if plan.preview:
                    result = beside_bicubic(frame.pixels, result, plan)
            last = frame.pixels
            enlarged.put((result, Stamp(frame.pts, frame.duration, frame.captions)))
            count, repeated = count + 1, repeated + same
            if meter is not None:
                meter.frame(repeated=same)
        enlarged.put(None)
    except BaseException:
        crew.stop.set()
        raise
    finally:
        crew.join()
    return Rendered(done + count, repeated, reader.damaged, reader.moved, reader.captions)


def _decode(reader: FrameReader, decoded: _Channel[Frame], limit: int | None) -> None:
    for count, frame in enumerate(reader if limit != 0 else ()):
        if not decoded.put(frame):
            return
        if limit is not None and count + 1 >= limit:
            break
    decoded.put(None)


def _encode(
    plan: Plan,
    enlarged: _Channel[tuple[AnyImage, Stamp]],
    scratch: Scratch,
    number: int,
    kept: list[Path],
) -> None:
    writer = _SegmentWriter(plan, scratch, number)
    for path in kept:
        for frame, stamp in kept_frames(read_segment(path), plan.encoding):
            writer.add(frame, stamp, kept=True)
    for pixels, stamp in enlarged:
        writer.add(to_frame(pixels, plan.encoding), stamp)
    # The channel also ends when the work is stopped; a segment cut short would then be wrong.
    if not enlarged.stopped:
        writer.finish()


class _SegmentWriter:
    """Encodes segment after segment, and keeps the frames of the one at work from time to time."""

    def __init__(self, plan: Plan, scratch: Scratch, number: int) -> None:
        self._plan, self._scratch, self._number = plan, scratch, number
        self._encoder: SegmentEncoder | None = None
        self._keeper: Keeper | None = None
        self._kept = 0
        self._saved = self._began = time.monotonic()
        self._is_slow = True  # until a segment has shown otherwise

    def add(self, frame: Any, stamp: Stamp, *, kept: bool = False) -> None:
        """Encode one more frame; `kept` when its pixels are on the disk already."""
        if self._encoder is None:
            self._encoder = SegmentEncoder(self._plan.encoding)
            self._keeper = Keeper(self._plan.encoding) if self._is_slow else None
            self._kept = 0
        self._encoder.add(frame, stamp)
        if kept:
            self._kept += 1
        elif self._keeper is not None:
            self._keeper.add(frame, stamp)
        if len(self._encoder) == self._plan.segment_frames:
            self.finish()
        elif self._keeper is not None and time.monotonic() - self._saved >= KEEP_SECONDS:
            self._save(self._keeper)

    def finish(self) -> None:
        """End the segment at work, if there is one."""
        if self._encoder is None:
            return
        self._scratch.add(self._encoder.finish(), self._number)
        now = time.monotonic()
        # Quick segments are their own protection; what would be kept of them is never written.
        self._is_slow = now - self._began >= KEEP_SECONDS / 2
        self._saved = self._began = now
        self._encoder, self._number = None, self._number + 1

    def _save(self, keeper: Keeper) -> None:
        frames = keeper.take()
        if frames.frames:
            self._scratch.keep(frames, self._number, self._kept)
            self._kept += len(frames.frames)
        self._saved = time.monotonic()


def beside_bicubic(lr: AnyImage, sr: AnyImage, plan: Plan) -> AnyImage:
    """The bicubic enlargement on the left, the result on the right, as players show them.

    `(H, 2W, 3)`; `(2H, W, 3)` of a film that is marked as turned by a quarter.
    """
    height, width = sr.shape[:2]
    bicubic: Any = imresize(lr, size=(height, width))
    axis, forwards = plan.info.across
    return np.concatenate([bicubic, sr] if forwards else [sr, bicubic], axis=axis)


__all__ = ["Cancelled", "Rendered", "beside_bicubic", "render"]
