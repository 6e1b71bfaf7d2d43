"""Three threads and two short queues: decode, enlarge, encode. Nothing else holds frames."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from fourfold.engine.upscaler import Upscaler
from fourfold.films.decode import Frame, FrameReader
from fourfold.films.encode import SegmentEncoder, to_frame
from fourfold.films.kept import Keeper, kept_frames
from fourfold.films.packets import Stamp, read_segment
from fourfold.imaging.arrays import AnyImage
from fourfold.imaging.resize import imresize
from fourfold.imaging.yuv import Planes
from fourfold.jobs.films.frames import enlarge_frames
from fourfold.jobs.films.parts import FilmPart
from fourfold.jobs.films.progress import Meter
from fourfold.jobs.films.scratch import Scratch
from fourfold.jobs.films.settings import Plan
from fourfold.jobs.stages import Cancelled, Channel, Crew

_DECODED_FRAMES: Final = 4
_ENLARGED_FRAMES: Final = 1
"""Frames waiting between the threads; an enlarged one may take 88 MB."""

_TRUSTED_FRAMES: Final = 8
"""Frames of a segment that tell how long it will take."""

KEEP_SECONDS = 30.0
"""Work after which the frames of an unfinished segment are written to disk: what a kill can cost."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """What came out of the source."""

    frames: int
    repeated: int
    damaged: int
    moved: int
    resized: int
    captions: int
    """Frames of this run with closed captions."""


Shown = Channel[tuple[AnyImage | Planes, Stamp]]
"""Enlarged frames on their way to the encoder."""

Sink = Callable[[Shown], None]
"""Takes enlarged frames off a channel until it ends; in a thread of its own."""


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
    rendered = enlarge_into(
        lambda enlarged: _encode(plan, enlarged, scratch, part.number, kept),
        plan,
        upscaler,
        skip=done,
        limit=None if part.stop is None else max(0, part.stop - done),
        meter=meter,
        cancelled=cancelled,
    )
    return replace(rendered, frames=done + rendered.frames)


def enlarge_into(
    sink: Sink,
    plan: Plan,
    upscaler: Upscaler,
    *,
    skip: int = 0,
    limit: int | None = None,
    meter: Meter | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Rendered:
    """Decode, enlarge and hand on the frames of a plan, but for the first `skip`; `limit` at most.

    Raises `Cancelled` between two frames, and whatever a thread fails with.
    """
    window = plan.window
    reader = FrameReader(
        plan.info, start=window.start, end=window.end, skip=skip, pulldown=bool(plan.pulldown)
    )
    crew = Crew()
    decoded: Channel[Frame] = Channel(_DECODED_FRAMES, crew.stop)
    enlarged: Shown = Channel(_ENLARGED_FRAMES, crew.stop)
    crew.start(lambda: _decode(reader, decoded, limit), "decode")
    crew.start(lambda: sink(enlarged), "encode")
    count = repeated = 0
    try:
        for frame, result, same in enlarge_frames(
            decoded, upscaler, yuv=plan.yuv, cancelled=cancelled
        ):
            shown = result
            if plan.preview:
                assert not isinstance(result, Planes), "not asked for"
                shown = beside_bicubic(frame.pixels, result, plan)
            enlarged.put((shown, Stamp(frame.pts, frame.duration, frame.captions)))
            count, repeated = count + 1, repeated + same
            if meter is not None:
                meter.frame(repeated=same)
        enlarged.end()
    except BaseException:
        crew.stop.set()
        raise
    finally:
        crew.join()
    return Rendered(count, repeated, reader.damaged, reader.moved, reader.resized, reader.captions)


def _decode(reader: FrameReader, decoded: Channel[Frame], limit: int | None) -> None:
    for count, frame in enumerate(reader if limit != 0 else ()):
        if not decoded.put(frame):
            return
        if limit is not None and count + 1 >= limit:
            break
    decoded.end()


def _encode(
    plan: Plan,
    enlarged: Shown,
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
            if len(self._encoder) == _TRUSTED_FRAMES and self._is_quick():
                self._keeper = None
        if len(self._encoder) == self._plan.segment_frames:
            self.finish()
        elif self._keeper is not None and time.monotonic() - self._saved >= KEEP_SECONDS:
            self._save(self._keeper)

    def _is_quick(self) -> bool:
        """Whether the segment will be finished before anything of it would be written."""
        if self._encoder is None or self._kept:
            return False
        took = (time.monotonic() - self._began) / len(self._encoder)
        return took * self._plan.segment_frames < KEEP_SECONDS / 2

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


__all__ = ["Cancelled", "Rendered", "Shown", "beside_bicubic", "enlarge_into", "render"]
