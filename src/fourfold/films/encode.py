"""Arrays to encoded frames: which encoder, with which options, and one segment at a time."""

from __future__ import annotations

import os
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

import numpy as np

from fourfold.errors import OutputError, UsageError, option
from fourfold.films.captions import with_captions
from fourfold.films.light import Light
from fourfold.films.packets import EncodedPacket, Segment, Stamp
from fourfold.films.probe import Colour
from fourfold.films.pyav import load_av, ordinary_priority, reason
from fourfold.imaging.arrays import AnyImage
from fourfold.imaging.yuv import Planes, Yuv

_SWS_MATRIX: Final = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""H.273 matrix codes to swscale's; others are converted as BT.601."""

_PARAMETERS: Final = {"h264": "x264-params", "hevc": "x265-params", "av1": "svtav1-params"}
"""Options that take what FFmpeg has no option for; codecs that can say how bright a film is."""

_FEW_CORES: Final = 4
"""Cores up to which x264 gets two threads: its own choice, half as many again as cores, takes a tenth
more of their time, which the network needs."""

_PROMPT: Final = {"h264": "superfast", "hevc": "ultrafast"}
"""Encoders that can give a frame at once, and their preset then: nobody keeps what is watched."""

_LARGE_FRAME: Final = 6_000_000
"""Pixels above which encoders keep fewer frames at hand, to bound memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """One way to write a film."""

    encoder: str
    formats: tuple[str, str]
    """Pixel formats for 8 bits and for more."""
    containers: tuple[str, ...]
    """Suffixes that can hold it; the first is taken when the input's cannot."""
    crf: float | None
    """Default quality, lower is better; None where the codec has none."""
    crf_range: tuple[float, float] = (0, 51)
    presets: tuple[str, ...] = ()
    preset: str | None = None
    least: int = 1
    """Pixels a side below which the encoder prints lines of its own, or crashes."""


_X26X: Final = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium")
_PRESETS: Final = (*_X26X, "slow", "slower", "veryslow", "placebo")
_ALL: Final = (".mp4", ".mkv", ".mov", ".m4v")

CODECS: Final = {
    "h264": Codec(
        encoder="libx264",
        formats=("yuv420p", "yuv420p10le"),
        containers=_ALL,
        crf=18,
        presets=_PRESETS,
        preset="superfast",  # with more, see `options` (decisions 41 and 45)
        least=4,
    ),
    "hevc": Codec(
        encoder="libx265",
        formats=("yuv420p", "yuv420p10le"),
        containers=_ALL,
        crf=20,
        presets=_PRESETS,
        preset="medium",
    ),
    "av1": Codec(
        encoder="libsvtav1",
        formats=("yuv420p", "yuv420p10le"),
        containers=(".mp4", ".mkv", ".webm"),
        crf=28,
        crf_range=(1, 63),
        presets=tuple(str(n) for n in range(14)),
        preset="8",
        least=4,
    ),
    "ffv1": Codec(
        encoder="ffv1", formats=("yuv444p", "yuv444p10le"), containers=(".mkv",), crf=None
    ),
    "prores": Codec(
        encoder="prores_ks",
        formats=("yuv422p10le", "yuv422p10le"),
        containers=(".mov", ".mkv"),
        crf=None,
    ),
}
"""What `--codec` takes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoding:
    """Everything an encoder is told; equal encodings give segments that fit together."""

    codec: str
    crf: float | None
    preset: str | None
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    pixel_aspect: Fraction
    depth: int
    colour: Colour
    light: Light | None = None
    live: bool = False
    """Whether each frame has to come out as soon as it has gone in."""

    def __post_init__(self) -> None:
        codec = CODECS.get(self.codec)
        if codec is None:
            raise UsageError(
                f"{option('codec')}: want {', '.join(CODECS)} or auto, got {self.codec!r}"
            )
        if min(self.width, self.height) < codec.least:
            raise self.refusal(f"want at least {codec.least}x{codec.least}")
        low, high = codec.crf_range
        if self.crf is not None and codec.crf is None:
            raise UsageError(
                f"{option('crf')}: {self.codec} has no quality setting; leave {option('crf')} out"
            )
        if self.crf is not None and not low <= self.crf <= high:
            raise UsageError(
                f"{option('crf')}: {self.codec} wants {low:g} to {high:g}, got {self.crf:g}"
            )
        if self.preset is not None and self.preset not in codec.presets:
            wanted = ", ".join(codec.presets) or "none"
            raise UsageError(
                f"{option('preset')}: {self.codec} wants {wanted}; got {self.preset!r}"
            )

    def refusal(self, why: str) -> OutputError:
        """The error for a size that the codec does not take."""
        return OutputError(
            f"{self.codec} cannot be encoded at {self.width}x{self.height} ({why}); "
            f"choose another {option('codec')} or size"
        )

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name of the format that is encoded."""
        return CODECS[self.codec].formats[self.depth > 8]

    @property
    def yuv(self) -> Yuv | None:
        """What `Planes` have to be to be encoded; None where `to_frame` has to be given RGB."""
        if self.pixel_format != "yuv420p":
            return None
        return Yuv(_SWS_MATRIX.get(self.colour.matrix, 5), self.colour.full_range)

    @property
    def tells_light(self) -> bool:
        """Whether the codec can say what `light` says."""
        return self.codec in _PARAMETERS

    def options(self) -> dict[str, str]:
        """For the encoder; a segment ends where the next begins, so no frame looks further."""
        codec = CODECS[self.codec]
        options: dict[str, str] = {}
        if codec.crf is not None:
            options["crf"] = f"{codec.crf if self.crf is None else self.crf:g}"
        if codec.preset is not None:
            options["preset"] = self.preset or codec.preset
        large = self.width * self.height > _LARGE_FRAME
        if self.live and self.codec in _PROMPT:
            options |= {"tune": "zerolatency", "preset": self.preset or _PROMPT[self.codec]}
        match self.codec:
            case "h264":
                options |= _x264_options(large=large, own=self.preset is None and not self.live)
            case "hevc":
                few = ":rc-lookahead=4:ref=1:bframes=1:frame-threads=1" if large else ""
                options["x265-params"] = f"log-level=error{few}"
            case "av1":
                # Closed groups in display order of their own; nothing on stderr.
                options["svtav1-params"] = "lookahead=8" if large else "lookahead=24"
            case "ffv1":
                options |= {"level": "3", "slicecrc": "1", "g": "1"}
            case "prores":
                options |= {"profile": "hq", "vendor": "apl0"}
        key = _PARAMETERS.get(self.codec)
        if key is not None and self.light is not None:
            options[key] = ":".join(filter(None, [options.get(key), *self.light.of(self.codec)]))
        return options

    def configure(self, context: Any) -> None:
        """Set size, times and colours on a codec context or output stream not yet opened."""
        context.width, context.height = self.width, self.height
        context.pix_fmt = self.pixel_format
        context.time_base = self.time_base
        context.framerate = self.rate
        context.sample_aspect_ratio = self.pixel_aspect
        mark_colours(context, self.colour)


def _x264_options(*, large: bool, own: bool) -> dict[str, str]:
    if large:
        # A picture of 5120x2880 is 22 MB; references hold interpolated copies besides.
        # Threads that share a picture hold fewer than threads with one each.
        few = {"rc-lookahead": "2", "refs": "1", "bf": "1"}
        return few | {"threads": "2", "thread_type": "slice"}
    options = {"threads": "2"} if (os.cpu_count() or 1) <= _FEW_CORES else {}
    if own:
        # What superfast leaves out and is worth its time: half the bytes at the same quality.
        options["x264-params"] = "mbtree=1:rc-lookahead=10"
    return options


class SegmentEncoder:
    """Encodes consecutive frames into one closed segment. Not thread-safe."""

    def __init__(self, encoding: Encoding) -> None:
        av = load_av()
        self._encoding = encoding
        self._stamps: list[Stamp] = []
        self._captions: dict[int, bytes] = {}
        self._packets: list[EncodedPacket] = []
        self._taken = 0
        try:
            self._context = av.CodecContext.create(CODECS[encoding.codec].encoder, "w")
            encoding.configure(self._context)
            self._context.options = encoding.options()
            self._context.flags |= av.codec.context.Flags.global_header.value
            with ordinary_priority():
                self._context.open()
        except (av.error.FFmpegError, ValueError) as error:
            raise encoding.refusal(reason(error)) from error

    def __len__(self) -> int:
        """Frames taken so far."""
        return len(self._stamps)

    def add(self, frame: Any, stamp: Stamp) -> None:
        """Encode a frame that `to_frame` or `kept_frames` has made for this encoding."""
        frame.pts, frame.duration = stamp.pts, stamp.duration
        frame.time_base = self._encoding.time_base
        self._stamps.append(stamp)
        self._captions[stamp.pts] = stamp.captions
        self._keep(self._context.encode(frame))

    def take(self) -> list[EncodedPacket]:
        """Packets that are ready, which `finish` then leaves out."""
        taken, self._packets = self._packets, []
        self._taken += len(taken)
        return taken

    def finish(self) -> Segment:
        """Everything encoded; the encoder is used up."""
        self._keep(self._context.encode(None))
        count = self._taken + len(self._packets)
        if count != len(self._stamps):
            raise OutputError(
                f"{self._encoding.codec}: {len(self._stamps)} frames became "
                f"{count} packets; choose another {option('codec')}"
            )
        return Segment(self._stamps, self._packets)

    def _keep(self, packets: Any) -> None:
        for packet in packets:
            keyframe = bool(packet.is_keyframe)
            captions = self._captions.pop(packet.pts, b"")
            data = with_captions(bytes(packet), captions, self._encoding.codec)
            self._packets.append(EncodedPacket(packet.pts, packet.dts, keyframe, data))


def to_frame(pixels: AnyImage | Planes, encoding: Encoding) -> Any:
    """A PyAV frame in the encoder's format: Lanczos to its size, then its matrix and range.

    `Planes` have both already, by `Encoding.yuv`.
    """
    av = load_av()
    flags = av.video.reformatter.Interpolation
    matrix = _SWS_MATRIX.get(encoding.colour.matrix, 5)
    span = 2 if encoding.colour.full_range else 1
    if isinstance(pixels, Planes):
        frame = av.VideoFrame.from_numpy_buffer(pixels.data, format="yuv420p")
        frame.colorspace, frame.color_range = matrix, span
    else:
        layout = "rgb24" if pixels.dtype == np.uint8 else "rgb48le"
        # Without a copy: the pixels have gone into the new frame when this returns.
        frame = av.VideoFrame.from_numpy_buffer(np.ascontiguousarray(pixels), format=layout)
    if (frame.width, frame.height) == (encoding.width, encoding.height):
        # Nothing but colour changes its size, for which more than a cubic is lost.
        kernel = flags.BICUBIC
    else:
        kernel = flags.LANCZOS
    frame = frame.reformat(
        width=encoding.width,
        height=encoding.height,
        format=encoding.pixel_format,
        interpolation=kernel | flags.ACCURATE_RND | flags.FULL_CHR_H_INP,
        dst_colorspace=matrix,
        dst_color_range=span,
    )
    mark_colours(frame, encoding.colour)
    return frame


def mark_colours(target: Any, colour: Colour) -> None:
    """Say on a frame or a codec context what its numbers mean."""
    target.colorspace = colour.matrix
    target.color_range = 2 if colour.full_range else 1
    target.color_primaries = colour.primaries
    target.color_trc = colour.transfer


__all__ = ["CODECS", "Codec", "Encoding", "SegmentEncoder", "mark_colours", "to_frame"]
