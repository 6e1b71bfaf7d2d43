"""Finished segments and everything else of the source, in one new file."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from fourfold.errors import OutputError
from fourfold.films.clock import Straightener
from fourfold.films.convert import Converter, converter_for
from fourfold.films.cover import attach_cover, is_cover
from fourfold.films.encode import CODECS, Encoding
from fourfold.films.extent import Extent
from fourfold.films.metadata import chapters_within, file_metadata, mov_flags, stream_metadata
from fourfold.films.packets import EncodedPacket, Stamp, read_segment
from fourfold.films.probe import VideoInfo, open_input
from fourfold.films.pyav import load_av, ordinary_priority, reason

FORMATS: Final = {
    ".mp4": "mp4",
    ".m4v": "mp4",
    ".mov": "mov",
    ".mkv": "matroska",
    ".webm": "webm",
}
"""Suffixes of films that are written, and FFmpeg's names of the containers."""

_REMADE: Final = ("bin_data", None)
"""Data streams of MP4 and MOV that the container writes itself: chapter titles, time codes."""


Timed = tuple[EncodedPacket, int]
"""A packet and how long its frame is shown, in units of the film's time base."""

_LEAD_IN: Final = Fraction(1, 20)
"""Seconds of sound kept before the film begins: more than the delay of any encoder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The part of the source that is taken, in seconds on its clock; None is an open end."""

    start: Fraction | None = None
    end: Fraction | None = None
    origin: Fraction = Fraction(0)
    """When the source begins: the first time stamp of all its streams."""

    @property
    def whole(self) -> bool:
        """Whether nothing of the source is left out."""
        return self.start is None and self.end is None

    @property
    def shift(self) -> Fraction:
        """Seconds subtracted from every time stamp of every stream, so that the result begins at 0.

        All streams move together, by the time at which the part begins or, of a whole film, its
        first stream: a stream that begins later, stays later. Transport streams count from
        anywhere, below zero too, and MP4 shows nothing of what is below zero.
        """
        return self.origin if self.start is None else self.start

    def holds(self, time: Fraction | None) -> bool:
        """Whether something at `time` is taken."""
        if time is None:
            return True
        after = self.start is None or time >= self.start
        return after and (self.end is None or time < self.end)


@dataclass(slots=True)
class Joined:
    """What went into the new file."""

    times: list[Fraction] = field(default_factory=list)
    """Seconds at which each frame is shown."""
    streams: dict[str, int] = field(default_factory=dict)
    earliest: Fraction = Fraction(0)
    """Seconds of the first time stamp written; below zero where sound begins before the film."""
    notes: list[str] = field(default_factory=list)
    """What could not be copied as it is, a sentence each."""
    faults: list[str] = field(default_factory=list)
    """What is missing or broken in the source, a few words each."""

    def note_time(self, packet: Any) -> None:
        """Remember when a packet that is written is shown, if nothing is shown before it."""
        if packet.pts is not None:
            self.earliest = min(self.earliest, packet.pts * Fraction(packet.time_base))


def fits(stream: Any, container_format: str) -> bool:
    """Whether a container can hold a copy of the stream, by writing a header with it."""
    av = load_av()
    if container_format in ("mp4", "mov") and _codec_name(stream).startswith("amr"):
        return False  # 3GP files pack several frames together, which FFmpeg's muxer refuses
    if is_cover(stream) and container_format != "mp4":
        return False  # an attachment in Matroska, and nothing of its kind elsewhere
    if stream.type == "attachment" and container_format != "matroska":
        return False
    try:
        with av.open(io.BytesIO(), "w", format=container_format) as trial:
            _add_copy(trial, stream)
            trial.start_encoding()
    except (av.error.FFmpegError, ValueError, RuntimeError):
        return False
    return True


def everything_fits(info: VideoInfo, container_format: str) -> bool:
    """Whether all streams beside the enlarged one can be copied into a container and played.

    Uncompressed sound is allowed in MP4, but few players know it.
    """
    is_mp4 = container_format == "mp4"
    with open_input(info.path) as source:
        return all(
            fits(stream, container_format) and not (is_mp4 and _is_uncompressed(stream))
            for stream in _others(source, info)
        )


def has_uncompressed_sound(info: VideoInfo) -> bool:
    """Whether a sound stream of the film is PCM."""
    with open_input(info.path) as source:
        return any(_is_uncompressed(stream) for stream in _others(source, info))


def _is_uncompressed(stream: Any) -> bool:
    return _codec_name(stream).startswith("pcm_")


def join(
    info: VideoInfo, segments: Iterable[Path], target: Path, encoding: Encoding, window: Window
) -> Joined:
    """Write the segments and all other streams of the source to `target`.

    Sound, subtitles, attachments and other pictures are copied packet by packet; what the
    container cannot hold is converted, or left out with a note. `OutputError` when it fails.
    """
    av = load_av()
    joined = Joined()
    files = list(segments)
    kind = FORMATS[target.suffix.lower()]
    try:
        with open_input(info.path) as source:
            # Without bitexact, Matroska files carry random numbers and differ from run to run.
            options = {"fflags": "+bitexact"} if kind in ("matroska", "webm") else {}
            if kind in ("mp4", "mov"):
                options["movflags"] = mov_flags(source)
            elif kind == "matroska":
                options["default_mode"] = "passthrough"
            with av.open(
                str(target.absolute()), "w", format=kind, container_options=options,
                metadata_errors="surrogateescape",
            ) as out:  # fmt: skip
                packets = _packets(files, info, window, joined)
                write_film(source, out, info, packets, encoding, window, joined)
    except (av.error.FFmpegError, ValueError) as error:
        raise OutputError(
            f"{info.path}: its larger version cannot be written ({reason(error)})"
        ) from error
    return joined


def write_film(
    source: Any,
    out: Any,
    info: VideoInfo,
    packets: Iterator[Timed],
    encoding: Encoding,
    window: Window,
    joined: Joined,
    *,
    closed: bool = False,
) -> None:
    """Fill an open container with the enlarged stream's packets and all other streams of the source.

    `packets` may take their time: the others are written in step with them. With `closed` the
    film ends with the last of them.
    """
    video, copies = _add_streams(source, out, info, encoding, joined)
    out.metadata.update(file_metadata(source.metadata))
    chapters = chapters_within(source.chapters(), window.shift or None, window.end)
    if chapters:
        out.set_chapters(chapters)
    with ordinary_priority():
        out.start_encoding()
    pictures = _Pictures(packets, out, video, encoding.time_base)
    clock = Straightener()
    extent = Extent(source, info, listens=not encoding.live)
    wanted = (
        packet
        for packet in extent.follow(source.demux())
        if packet.stream_index in copies and (packet.size or packet.pts is not None)
    )
    for packet in clock.straighten(wanted):
        unit = Fraction(packet.time_base)
        when = packet.dts if packet.dts is not None else packet.pts
        time = None if when is None else when * unit
        if not window.holds(time) or _hidden(packet, source, out, window):
            continue
        if time is not None:
            pictures.write_until(time - window.shift)
            if closed and pictures.are_over(time - window.shift):
                break
        for piece in copies[packet.stream.index].convert(packet, round(window.shift / unit)):
            joined.note_time(piece)
            out.mux_one(piece)
    pictures.write_until(None)
    for copy in copies.values():
        for piece in copy.flush():
            out.mux_one(piece)
    joined.notes.extend(clock.notes())
    joined.faults = extent.faults()


def _hidden(packet: Any, source: Any, out: Any, window: Window) -> bool:
    """Whether an edit list hides the sound in a packet and the new container has no such lists.

    What a decoder needs to get going stays; Matroska then moves all streams by so much.
    """
    if "mov" not in source.format.name or out.format.name not in ("matroska", "webm"):
        return False
    if packet.stream.type != "audio" or packet.pts is None:
        return False
    end = (packet.pts + (packet.duration or 0)) * packet.time_base
    return bool(end < window.shift - _LEAD_IN)


def _add_streams(
    source: Any, out: Any, info: VideoInfo, encoding: Encoding, joined: Joined
) -> tuple[Any, dict[int, Converter]]:
    """The enlarged stream in its old place among the others, which are copied or converted."""
    kind = out.format.name
    copies: dict[int, Converter] = {}
    video = None
    others = {stream.index for stream in _others(source, info)}
    for stream in source.streams:
        if stream.index == info.stream:
            video = _add_video(out, stream, info, encoding)
            added = video
        elif stream.index not in others:
            continue
        elif fits(stream, kind):
            added = _add_copy(out, stream)
            copies[stream.index] = Converter(added)
        elif attach_cover(info.path, stream, out):
            joined.streams["video"] = joined.streams.get("video", 0) + 1
            continue
        else:
            converter = None if is_cover(stream) else converter_for(stream, out)
            name = f"{stream.type} stream {stream.index} ({_codec_name(stream)})"
            if converter is None:
                hint = "" if kind == "matroska" else "; -o x.mkv may"
                joined.notes.append(f"{name} is left out: {kind} cannot hold it{hint}")
                continue
            joined.notes.append(f"{name} is converted: {kind} cannot hold it as it is")
            added = converter.stream
            copies[stream.index] = converter
        joined.streams[added.type] = joined.streams.get(added.type, 0) + 1
    joined.streams.pop("data", None)
    return video, copies


def _others(source: Any, info: VideoInfo) -> Iterator[Any]:
    """Streams that travel along; those the container writes anew are left to it."""
    is_mov = "mov" in source.format.name
    for stream in source.streams:
        remade = is_mov and stream.type == "data" and stream.name in _REMADE
        if stream.index != info.stream and not remade:
            yield stream


def _codec_name(stream: Any) -> str:
    context = stream.codec_context
    return str(context.name if context is not None else stream.name or "unknown")


def _add_copy(out: Any, stream: Any) -> Any:
    added = out.add_stream_from_template(stream, opaque=True)
    added.metadata.update(stream_metadata(stream.metadata))
    added.disposition = stream.disposition
    if stream.type == "audio" and stream.codec_context is not None:
        # Unnamed in AVI and WAV; players assume these, and some say so each time.
        usual = {"1 channels": "mono", "2 channels": "stereo"}
        layout = usual.get(stream.codec_context.layout.name)
        if layout is not None:
            added.codec_context.layout = layout
    return added


def _add_video(out: Any, stream: Any, info: VideoInfo, encoding: Encoding) -> Any:
    """The stream for the finished packets; its encoder is opened for its headers only."""
    name = CODECS[encoding.codec].encoder
    video = out.add_stream(name, rate=encoding.rate, options=encoding.options())
    encoding.configure(video.codec_context)
    video.time_base = encoding.time_base
    if encoding.codec == "hevc" and out.format.name in ("mp4", "mov"):
        video.codec_context.codec_tag = "hvc1"  # Apple's players take no other
    if info.display_matrix is not None:
        video.set_display_matrix(info.display_matrix)
    video.metadata.update(stream_metadata(stream.metadata, encoded_anew=True))
    video.disposition = stream.disposition
    return video


def _packets(files: list[Path], info: VideoInfo, window: Window, joined: Joined) -> Iterator[Timed]:
    """Packets of all segments with their durations, shifted to the window."""
    shift = round(window.shift / info.time_base)
    for path in files:
        segment = read_segment(path)
        durations = {stamp.pts: stamp.duration for stamp in segment.frames}
        stamps = [Stamp(stamp.pts - shift, stamp.duration) for stamp in segment.frames]
        joined.times.extend(stamp.pts * info.time_base for stamp in stamps)
        for packet in segment.packets:
            moved = packet._replace(pts=packet.pts - shift, dts=packet.dts - shift)
            yield moved, durations.get(packet.pts, 0)


class _Pictures:
    """The enlarged stream's packets, written in step with the others."""

    def __init__(self, packets: Iterator[Timed], out: Any, stream: Any, unit: Fraction) -> None:
        self._packets, self._out, self._stream, self._unit = packets, out, stream, unit
        self._next = next(packets, None)
        self._last_dts: int | None = None
        self._delay: int | None = None
        self._end = 0

    def write_until(self, time: Fraction | None) -> None:
        """Write every packet to be decoded by `time` seconds; all of them for None."""
        while self._next is not None:
            packet, duration = self._next
            if time is not None and packet.dts * self._unit > time:
                return
            self._next = next(self._packets, None)
            self._mux(packet, duration)

    def are_over(self, time: Fraction) -> bool:
        """Whether all are written and shown by `time` seconds."""
        return self._next is None and time >= self._end * self._unit

    def _mux(self, packet: EncodedPacket, duration: int) -> None:
        av = load_av()
        made = av.Packet(packet.data)
        dts = packet.dts
        if self._last_dts is not None and dts <= self._last_dts:
            # The first packets of a segment are decoded early; within a frame's time of the last.
            dts = self._last_dts + 1
        if self._delay is None:
            self._delay = packet.pts - dts
        self._end = max(self._end, packet.pts + duration)
        if self._next is None and self._out.format.name in ("mp4", "mov"):
            # There the length is the sum of the steps in decoding time, which runs ahead of showing
            # by the delay: it has to end with the last picture shown, which may be shown long and
            # need not be the last one decoded.
            dts = max(dts, packet.pts - self._delay)
            duration = max(1, self._end - dts - self._delay)
        self._last_dts = dts
        made.pts, made.dts, made.duration = packet.pts, dts, duration
        made.time_base = self._unit
        made.is_keyframe = packet.keyframe
        made.stream = self._stream
        self._out.mux_one(made)


__all__ = [
    "FORMATS",
    "Joined",
    "Timed",
    "Window",
    "everything_fits",
    "fits",
    "has_uncompressed_sound",
    "join",
    "write_film",
]
