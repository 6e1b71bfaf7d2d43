"""What is to become of a film, and the plan that follows from the film itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Final

from fourfold.errors import UsageError, option
from fourfold.films.encode import CODECS, Encoding
from fourfold.films.filters import CYCLE, has_pulldown
from fourfold.films.join import FORMATS, Window, everything_fits, has_uncompressed_sound
from fourfold.films.probe import VideoInfo
from fourfold.imaging.yuv import Yuv
from fourfold.jobs.size import TargetSize

PREVIEW_SECONDS: Final = 3
"""Length of `--preview` unless --end or --frames say otherwise."""

_SEGMENT_PIXELS: Final = 96_000_000
_SEGMENT_FRAMES: Final = (12, 240)
"""A segment is long enough to compress well. It depends on no clock, so that results do not either."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoSettings:
    """Size, codec, part and name of the result."""

    size: TargetSize = field(default_factory=TargetSize)
    codec: str = "auto"
    """`auto`: h264 for 8 bits, hevc for more, which fewer devices play as H.264."""
    crf: float | None = None
    """Quality in the encoder's own scale, lower is better; None for a near-transparent one."""
    preset: str | None = None
    start: Fraction | None = None
    """Seconds from the film's beginning."""
    end: Fraction | None = None
    frames: int | None = None
    preview: bool = False
    """A few seconds, the bicubic version on the left and the result on the right."""
    pulldown: str = "keep"
    """`undo`: film that was spread over the fields of video becomes film again, where there is such."""
    suffix: str | None = None
    overwrite: bool = False
    segment_frames: int | None = None
    """Frames from one key frame that begins a segment to the next; None to go by the result's size."""

    def __post_init__(self) -> None:
        if self.codec != "auto" and self.codec not in CODECS:
            raise UsageError(
                f"{option('codec')}: want {', '.join(CODECS)} or auto, got {self.codec!r}"
            )
        if self.pulldown not in ("keep", "undo"):
            raise UsageError(f"{option('pulldown')}: want keep or undo, got {self.pulldown!r}")
        if self.frames is not None and self.frames < 1:
            raise UsageError(f"{option('frames')}: want at least 1, got {self.frames}")
        if self.segment_frames is not None and self.segment_frames < 1:
            raise UsageError(f"segment_frames: want at least 1, got {self.segment_frames}")
        if self.start is not None and self.end is not None and self.end <= self.start:
            raise UsageError(
                f"{option('end')}: want a time after {option('start')} {float(self.start):g} s, "
                f"got {float(self.end):g} s"
            )


def parse_time(text: str, *, name: str) -> Fraction:
    """Seconds of `90`, `1:30`, `0:01:30.5`; `UsageError` otherwise.

    >>> parse_time("1:30.5", name="start")
    Fraction(181, 2)
    """
    match = re.fullmatch(r"(?:(?:(\d+):)?(\d+):)?(\d+(?:\.\d+)?)", text.strip())
    if match is None:
        raise UsageError(f"{option(name)}: want seconds or H:MM:SS, got {text!r}")
    hours, minutes, seconds = match.groups()
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + Fraction(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything decided before the first frame."""

    info: VideoInfo
    output: Path
    encoding: Encoding
    window: Window
    frames: int | None
    """No more than these."""
    preview: bool
    segment_frames: int
    suffix_note: str | None
    pulldown: bool | None = None
    """Whether 3:2 pulldown is undone; False where it was to be and there is none, None if not asked."""

    @property
    def expected_frames(self) -> int | None:
        """Frames the result will have, as far as headers tell."""
        total = self.info.expected_frames
        if total is not None and self.pulldown:
            total = -(-total * (CYCLE - 1) // CYCLE)
        window = self.window
        if window.start is not None or window.end is not None:
            begin = (window.start or self.info.start) - self.info.start
            length = self.info.seconds
            end = length if window.end is None else window.end - self.info.start
            if end is not None and length is not None:
                end = min(end, length)
            total = None if end is None else max(0, round((end - begin) * self.encoding.rate))
        if self.frames is not None:
            total = self.frames if total is None else min(total, self.frames)
        return total

    @property
    def yuv(self) -> Yuv | None:
        """The planes that frames may be made as; None where they have to be RGB."""
        return None if self.preview else self.encoding.yuv

    @property
    def result_pixels(self) -> int:
        """Pixels of an enlarged frame, without the bicubic half of a preview."""
        return self.encoding.width * self.encoding.height // (2 if self.preview else 1)


def make_plan(
    info: VideoInfo, output: Path | None, settings: VideoSettings, *, network_scale: int
) -> Plan:
    """Decide size, codec, container, name and part; `UsageError` for what does not fit together.

    `output` is the file to write, or None for a name beside the source.
    """
    codec = settings.codec
    if codec == "auto":
        codec = "h264" if info.depth == 8 else "hevc"
    width, height = target_size(info, settings.size, network_scale)
    suffix, note = _container(info, codec, output)
    pulldown = has_pulldown(info) if settings.pulldown == "undo" else None
    end, frames = settings.end, settings.frames
    if settings.preview and end is None and frames is None:
        end = (settings.start or Fraction(0)) + PREVIEW_SECONDS
    encoding = Encoding(
        codec=codec,
        crf=settings.crf,
        preset=settings.preset,
        width=width * (2 if settings.preview and info.across[0] == 1 else 1),
        height=height * (2 if settings.preview and info.across[0] == 0 else 1),
        time_base=info.time_base,
        rate=info.rate * Fraction(CYCLE - 1, CYCLE) if pulldown else info.rate,
        pixel_aspect=_pixel_aspect(info, width, height),
        depth=info.depth,
        colour=info.colour,
        light=info.light,
    )
    low, high = _SEGMENT_FRAMES
    return Plan(
        info=info,
        output=output
        or info.path.with_name(info.path.stem + _name_suffix(settings, network_scale) + suffix),
        encoding=encoding,
        window=Window(
            start=None if settings.start is None else info.start + settings.start,
            end=None if end is None else info.start + end,
            origin=info.start,
        ),
        frames=frames,
        preview=settings.preview,
        segment_frames=settings.segment_frames
        or min(high, max(low, _SEGMENT_PIXELS // (width * height))),
        suffix_note=note,
        pulldown=pulldown,
    )


def target_size(info: VideoInfo, size: TargetSize, network_scale: int) -> tuple[int, int]:
    """Width and height to encode, both even, as subsampled colour needs.

    A frame to fit is filled by the picture as it is shown: pixels that are not square count as
    wide, or as high, as they are shown, and stay as they are.
    """
    aspect = info.pixel_aspect
    if size.fit is None:
        width, height = size.of(info.width, info.height, network_scale)
        return max(2, 2 * round(width / 2)), max(2, 2 * round(height / 2))
    shown_width = float(info.width * max(aspect, Fraction(1)))
    shown_height = float(info.height / min(aspect, Fraction(1)))
    frame_width, frame_height = size.fit
    if (shown_height > shown_width) != (frame_height > frame_width):
        frame_width, frame_height = frame_height, frame_width
    factor = min(frame_width / shown_width, frame_height / shown_height)
    # Half a pixel of tolerance: 426x240 is meant to be 16:9 and fills 1080p but for 3 columns.
    width, height = (int(side * factor + 0.5) // 2 * 2 for side in (info.width, info.height))
    return max(2, width), max(2, height)


def _pixel_aspect(info: VideoInfo, width: int, height: int) -> Fraction:
    """As before; rounding to even sides may not bend the picture by more than it must."""
    if info.pixel_aspect == 1:
        return info.pixel_aspect
    return info.pixel_aspect.limit_denominator(10_000)


def _name_suffix(settings: VideoSettings, network_scale: int) -> str:
    suffix = settings.size.suffix(network_scale) if settings.suffix is None else settings.suffix
    return f"{suffix}_preview" if settings.preview else suffix


def _container(info: VideoInfo, codec: str, output: Path | None) -> tuple[str, str | None]:
    """The suffix of the result and, where it is not the source's, why."""
    able = CODECS[codec].containers
    if output is not None:
        chosen = output.suffix.lower()
        if chosen not in FORMATS or chosen not in able:
            raise UsageError(
                f"{option('target', output)}: {codec} films are written as {', '.join(able)}"
            )
        return chosen, None
    own = info.path.suffix.lower()
    if own in able:
        return own, None
    if ".mov" in able and has_uncompressed_sound(info):
        able = (".mov", *able)  # it names the channels, which Matroska leaves players to guess
    # Matroska holds nearly everything, and every codec of ours.
    suffix = next((name for name in able if everything_fits(info, FORMATS[name])), ".mkv")
    cause = f"cannot hold {codec}" if own in FORMATS else "is only read"
    return suffix, f"written as {suffix}, since {own or 'this kind'} {cause}"


__all__ = ["PREVIEW_SECONDS", "Plan", "VideoSettings", "make_plan", "parse_time", "target_size"]
