"""Frames out of a film, one after another, with the time stamps they have in the file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from fourfold.films.captions import captions_of
from fourfold.films.clock import JUMP
from fourfold.films.filters import DEINTERLACE, UNDO_PULLDOWN, filtered
from fourfold.films.probe import VideoInfo, open_input
from fourfold.films.pyav import load_av, reason
from fourfold.imaging.arrays import AnyImage

logger = logging.getLogger(__name__)


class Frame(NamedTuple):
    """One picture of a film: `(H, W, 3)` RGB, uint8, or uint16 for more than 8 bits."""

    pixels: AnyImage
    pts: int
    """Time stamp in units of the stream's time base; strictly increasing."""
    duration: int
    """In the same units; 0 when the file does not say."""
    captions: bytes = b""
    """Closed captions in the picture stream, three bytes a piece."""


class FrameReader:
    """Iterates over the frames of `info`'s stream that lie in [start, end), in order.

    Damaged packets are skipped and counted: what can be decoded is yielded. `start` and `end` are
    seconds on the file's clock, which `info.start` begins. `skip` frames are decoded but not
    converted, which is how interrupted work goes on exactly where it was. With `pulldown` the frames
    of a film that was spread over the fields of video are put together again, four of five.
    """

    def __init__(
        self,
        info: VideoInfo,
        *,
        start: Fraction | None = None,
        end: Fraction | None = None,
        skip: int = 0,
        pulldown: bool = False,
    ) -> None:
        self.info, self.skip, self._pulldown = info, skip, pulldown
        self.damaged = 0
        """Packets that could not be decoded, and frames the decoder marks as corrupt."""
        self.moved = 0
        """Frames whose time stamp was missing or not after the previous one."""
        self.resized = 0
        """Frames of another size than the film's, brought to it."""
        self.captions = 0
        """Frames yielded with closed captions."""
        self._start, self._end = start, end
        self._last: int | None = None
        self._offset = 0

    def __iter__(self) -> Iterator[Frame]:
        count = 0
        for raw in self._progressive(self._from_start()):
            pts = self._stamp(raw)
            time = pts * self.info.time_base
            if self._start is not None and time < self._start:
                continue
            if self._end is not None and time >= self._end:
                return
            count += 1
            self.resized += (raw.width, raw.height) != (self.info.width, self.info.height)
            if count > self.skip:
                captions = captions_of(raw)
                self.captions += bool(captions)
                yield Frame(to_rgb(raw, self.info), pts, int(raw.duration or 0), captions)

    def _from_start(self) -> Iterator[Any]:
        """Decoded frames from the start or earlier: from the top where seeking goes too far."""
        if self._start is not None:
            with open_input(self.info.path) as container:
                frames = self._decoded(container, self._seek(container, self._start))
                first = next(frames, None)
                # Of transport streams and FLV, FFmpeg guesses the place.
                pts = None if first is None else first.pts
                if pts is not None and pts * self.info.time_base <= self._start:
                    yield first
                    yield from frames
                    return
            self.damaged = 0
        with open_input(self.info.path) as container:
            yield from self._decoded(container, container.streams[self.info.stream])

    def _seek(self, container: Any, start: Fraction) -> Any:
        """Seek to the key frame before the start; returns the stream."""
        av = load_av()
        stream = container.streams[self.info.stream]
        # A second earlier: with reordered frames the index counts decoding time.
        wanted = max(start - 1, self.info.start)
        try:
            container.seek(int(wanted / stream.time_base), stream=stream)
        except av.error.FFmpegError as error:
            logger.debug("%s cannot seek (%s)", self.info.path, reason(error))
        return stream

    def _decoded(self, container: Any, stream: Any) -> Iterator[Any]:
        av = load_av()
        stream.thread_type = "AUTO"
        try:
            for packet in container.demux(stream):
                try:
                    frames = packet.decode()
                except av.error.EOFError:
                    continue
                except av.error.FFmpegError as error:
                    logger.debug("%s: a packet is skipped (%s)", self.info.path, reason(error))
                    self.damaged += packet.size > 0  # an empty one repeats the frame before
                    continue
                for frame in frames:
                    self.damaged += bool(frame.is_corrupt)
                    yield frame
        except av.error.FFmpegError as error:
            logger.debug("%s ends early (%s)", self.info.path, reason(error))
            self.damaged += 1

    def _progressive(self, frames: Iterator[Any]) -> Iterator[Any]:
        """The frames themselves, or interlaced ones made whole: from fields, or by bwdif."""
        if self._pulldown:
            return filtered(frames, self.info, UNDO_PULLDOWN)
        return filtered(frames, self.info, DEINTERLACE) if self.info.interlaced else frames

    def _stamp(self, raw: Any) -> int:
        """The frame's time stamp, made to increase where the file's do not."""
        pts = raw.pts if raw.pts is not None else raw.dts
        step = max(1, round(1 / (self.info.rate * self.info.time_base)))
        if pts is not None:
            pts += self._offset
            if self._last is not None and (self._last - pts) * self.info.time_base > JUMP:
                # Files that were strung together: the next one goes on where the last ended.
                self._offset += self._last + step - pts
                pts = self._last + step
                self.moved += 1
        if pts is None or (self._last is not None and pts <= self._last):
            self.moved += 1
            pts = 0 if self._last is None else self._last + (step if pts is None else 1)
        self._last = int(pts)
        return self._last


def to_rgb(raw: Any, info: VideoInfo) -> AnyImage:
    """Pixels `(H, W, 3)` of a decoded frame, by the matrix and range of the film."""
    av = load_av()
    flags = av.video.reformatter.Interpolation
    raw.colorspace = info.colour.matrix
    raw.color_range = 2 if info.colour.full_range else 1
    converted = raw.reformat(
        width=info.width,
        height=info.height,
        format="rgb24" if info.depth == 8 else "rgb48le",
        interpolation=flags.BICUBIC | flags.ACCURATE_RND | flags.FULL_CHR_H_INT,
    )
    return np.ascontiguousarray(converted.to_ndarray())


__all__ = ["Frame", "FrameReader", "to_rgb"]
