"""What a film is: size, time base, colours, rotation, and which streams travel with it."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from fourfold.errors import InputError
from fourfold.films.light import Light, light_of
from fourfold.films.pyav import load_av, reason

logger = logging.getLogger(__name__)

VIDEO_SUFFIXES: Final = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".3gp", ".3g2", ".ts", ".mts", ".m2ts"}
    | {".mpg", ".mpeg", ".vob", ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".mxf", ".nut", ".y4m"}
    | {".m2v", ".dv", ".rm", ".rmvb", ".divx"}
)
"""What counts as a film (any case); the content decides how it is read."""

_INTERLACED_ORDERS: Final = (2, 3, 4, 5)
_UNSPECIFIED: Final = 2
_BT709, _SMPTE170M, _BT470BG = 1, 6, 5
_HIGHEST_RATE: Final = 1000
_GUESSED_FROM: Final = 8_000_000
"""Bytes of packets read to guess the length of a file: seconds of a film, a moment of work."""

_MICROSECOND: Final = Fraction(1, 1_000_000)
_RGB: Final = 0
ATTACHED_PICTURE: Final = 1 << 10
_DEFAULT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """How Y'CbCr numbers mean colours, in the codes of ITU-T H.273."""

    matrix: int
    """Never unspecified: an untagged film gets what players assume at its size, so that a
    larger one, where they would assume another matrix, still looks the same."""
    full_range: bool
    primaries: int
    transfer: int


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoInfo:
    """The stream that is enlarged, as the file describes it and its first frame confirms."""

    path: Path
    stream: int
    """Index of the stream in the file."""
    width: int
    height: int
    time_base: Fraction
    """Seconds a unit of `pts`."""
    rate: Fraction
    """Frames a second on average; only a hint where the rate varies."""
    pixel_aspect: Fraction
    """Width of a pixel by its height."""
    depth: int
    """Bits a channel: 8, or 10 for anything deeper."""
    colour: Colour
    display_matrix: tuple[int, ...] | None
    """Rotation and mirroring a player applies: nine integers, or None."""
    interlaced: bool
    transparent: bool
    """Whether it has an alpha channel, which results have not."""
    start: Fraction
    """Seconds on its clock at which the file begins: the first of all its streams."""
    seconds: Fraction | None
    """Length the file states, if it does."""
    stated_frames: int
    """Frames the file states, 0 when it does not."""
    codec: str
    light: Light | None = None
    """Of HDR films: the screen they were made on, and how bright they become."""

    @property
    def across(self) -> tuple[int, bool]:
        """Where players' left to right runs in the arrays: the axis, and whether forwards on it.

        A display matrix holds a, b, u, c, d, v, x, y, w; players show the pixel in column p and row
        q at a p + c q + x from the left (ISO/IEC 14496-12, 6.2.2).
        """
        matrix = self.display_matrix or (1, 0, 0, 0, 1, 0, 0, 0, 1)
        by_column, by_row = matrix[0], matrix[3]
        if abs(by_column) >= abs(by_row):
            return 1, by_column >= 0
        return 0, by_row > 0

    def shown_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height at which players show frames so large, turned and with square pixels."""
        aspect = self.pixel_aspect
        shown = round(width * max(aspect, Fraction(1))), round(height / min(aspect, Fraction(1)))
        return shown if self.across[0] == 1 else shown[::-1]

    @property
    def expected_frames(self) -> int | None:
        """Frames to expect: stated, or by length and rate; None when unknown."""
        if self.stated_frames:
            return self.stated_frames
        return None if self.seconds is None else max(1, round(self.seconds * self.rate))


def has_film_suffix(path: Path) -> bool:
    """Whether the name says film, in upper or lower case."""
    return path.suffix.lower() in VIDEO_SUFFIXES


@contextmanager
def open_input(path: Path) -> Iterator[Any]:
    """An open PyAV container; `InputError` for what FFmpeg cannot open."""
    av = load_av()
    if not path.is_file():
        raise InputError(f"{path}: {'not a file' if path.exists() else 'no such file'}")
    try:
        # Absolute, since FFmpeg takes what is before a colon for a protocol.
        container = av.open(str(path.absolute()), metadata_errors="surrogateescape")
    except (av.error.FFmpegError, ValueError) as error:
        raise InputError(f"{path}: not a readable film ({reason(error)})") from error
    with container:
        try:
            yield container
        finally:
            _settle(container)


def _settle(container: Any) -> None:
    """Let decoders end what their threads are at.

    Closing holds Python's lock, and must not wait for a thread that waits for it to log something.
    """
    for stream in container.streams:
        if stream.codec_context is not None:
            stream.codec_context.flush_buffers()  # waits for threads without the lock


def main_stream(container: Any, path: Path) -> Any:
    """The stream to enlarge: the first marked default, else the first; cover art never."""
    films = [s for s in container.streams.video if not int(s.disposition) & ATTACHED_PICTURE]
    films = [s for s in films if s.codec_context is not None]
    if not films:
        raise InputError(f"{path}: holds no video stream that can be decoded")
    return next((s for s in films if int(s.disposition) & _DEFAULT), films[0])


def probe(path: Path) -> VideoInfo:
    """Read the headers and the first frame; `InputError` when there is none."""
    with open_input(path) as container:
        stream = main_stream(container, path)
        frame = _first_frame(container, stream, path)
        context = stream.codec_context
        pixel_format = frame.format
        # A few frames in, decoders know the field order that headers leave open.
        interlaced = bool(frame.interlaced_frame) or context.field_order in _INTERLACED_ORDERS
        info = VideoInfo(
            path=path,
            stream=stream.index,
            width=frame.width,
            height=frame.height,
            time_base=stream.time_base,
            rate=_rate(stream, frame),
            pixel_aspect=_pixel_aspect(stream),
            depth=10 if max(c.bits for c in pixel_format.components) > 8 else 8,
            colour=_colour(frame, is_rgb=pixel_format.is_rgb),
            display_matrix=_display_matrix(frame),
            interlaced=interlaced,
            transparent=_transparent(stream, pixel_format),
            start=_start(container),
            seconds=_seconds(container, stream),
            stated_frames=int(stream.frames or 0),
            codec=context.name,
            light=light_of(frame),
        )
    logger.debug("read %s: %s", path, info)
    return info


def guess_frames(info: VideoInfo) -> int | None:
    """Frames there may be, for files that state no length: from what a first stretch takes of them.

    Exact where the stretch is the whole file. None when nothing can be told.
    """
    av = load_av()
    count = taken = 0
    with open_input(info.path) as container:
        try:
            for packet in container.demux():
                # The place in the file counts what is around packets, where it is known.
                taken = max(taken, packet.pos or 0) + packet.size
                count += packet.stream_index == info.stream and packet.size > 0
                if taken >= _GUESSED_FROM:
                    break
            else:
                return count or None
        except av.error.FFmpegError:
            return count or None
    return round(count * info.path.stat().st_size / taken) or None


def _first_frame(container: Any, stream: Any, path: Path) -> Any:
    av = load_av()
    failure = "no frame in it"
    try:
        for packet in container.demux(stream):
            try:
                for frame in packet.decode():
                    return frame
            except av.error.FFmpegError as error:
                failure = reason(error)
    except av.error.FFmpegError as error:
        failure = reason(error)
    raise InputError(f"{path}: no picture can be decoded ({failure})")


def _rate(stream: Any, frame: Any) -> Fraction:
    """The average rate; another guess where what the file says cannot be one."""
    guesses = [stream.average_rate, stream.guessed_rate, stream.base_rate]
    if frame.duration:
        guesses.append(1 / (frame.duration * stream.time_base))
    return next((Fraction(g) for g in guesses if g and 0 < g <= _HIGHEST_RATE), Fraction(25))


def _pixel_aspect(stream: Any) -> Fraction:
    aspect = stream.sample_aspect_ratio
    return Fraction(aspect) if aspect and aspect > 0 else Fraction(1)


def _transparent(stream: Any, pixel_format: Any) -> bool:
    # VP8 and VP9 keep alpha beside the picture, and the file says so.
    marked = any(k.lower() == "alpha_mode" and v == "1" for k, v in stream.metadata.items())
    return marked or any(c.is_alpha for c in pixel_format.components)


def _start(container: Any) -> Fraction:
    """FFmpeg's start of the file, in microseconds, made exact by the stream it is taken from."""
    rough = Fraction(container.start_time or 0, 1_000_000)
    starts = (s.start_time * s.time_base for s in container.streams if s.start_time is not None)
    exact = min(starts, key=lambda start: abs(start - rough), default=rough)
    return Fraction(exact) if abs(exact - rough) < _MICROSECOND else rough


def _seconds(container: Any, stream: Any) -> Fraction | None:
    if stream.duration:
        return Fraction(stream.duration * stream.time_base)
    return Fraction(container.duration, 1_000_000) if container.duration else None


def _colour(frame: Any, *, is_rgb: bool) -> Colour:
    matrix = int(frame.colorspace)
    if matrix in (_UNSPECIFIED, _RGB, 3) or is_rgb:
        # Players take untagged films above standard definition for BT.709.
        small = frame.width <= 1024 and frame.height <= 576
        standard = _BT470BG if frame.height in (288, 576) else _SMPTE170M
        matrix = standard if small and not is_rgb else _BT709
    return Colour(
        matrix=matrix,
        # RGB becomes Y'CbCr of the range every player takes.
        full_range=not is_rgb
        and (int(frame.color_range) == 2 or frame.format.name.startswith("yuvj")),
        primaries=int(frame.color_primaries) or _UNSPECIFIED,
        transfer=int(frame.color_trc) or _UNSPECIFIED,
    )


def _display_matrix(frame: Any) -> tuple[int, ...] | None:
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            return struct.unpack("=9i", bytes(data)[:36])
    return None


__all__ = [
    "ATTACHED_PICTURE",
    "VIDEO_SUFFIXES",
    "Colour",
    "VideoInfo",
    "guess_frames",
    "has_film_suffix",
    "main_stream",
    "open_input",
    "probe",
]
