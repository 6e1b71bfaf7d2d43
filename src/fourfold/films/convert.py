"""Streams on their way into another container: copied, or put in a form it can hold."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any, Final

from fourfold.films.metadata import stream_metadata
from fourfold.films.pyav import load_av

_TEXT: Final = frozenset({"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"})
_SUBTITLES: Final = {"mp4": "mov_text", "mov": "mov_text", "matroska": "subrip", "webm": "webvtt"}
_SOUND: Final = {"mp4": "aac", "mov": "aac", "matroska": "flac", "webm": "libopus"}
_LAYOUTS: Final = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}
"""For sources that state a number of channels only."""
_SOUND_BITS: Final = 256_000
"""Bits a second for sound that must be encoded anew: hardly to be told from the original."""


class Converter:
    """Passes packets on as they are, shifted in time; the base of those that change them."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream

    def convert(self, packet: Any, shift: int) -> Iterator[Any]:
        """Packets to write for one that was read; `shift`, in its units, is subtracted."""
        if packet.pts is not None:
            packet.pts -= shift
        if packet.dts is not None:
            packet.dts -= shift
        packet.stream = self.stream
        yield packet

    def flush(self) -> Iterator[Any]:
        """Packets that were still held back at the end."""
        yield from ()


class _Subtitles(Converter):
    """Text subtitles into the text format of another container."""

    def __init__(self, source: Any, out: Any) -> None:
        self._decoder = source.codec_context
        self._decoder.open(strict=False)
        super().__init__(out.add_stream(_SUBTITLES[out.format.name]))
        header = self._decoder.subtitle_header or b"[Script Info]\n"
        self.stream.codec_context.subtitle_header = header
        self.stream.time_base = Fraction(1, 1000)
        _inherit(self.stream, source)

    def convert(self, packet: Any, shift: int) -> Iterator[Any]:
        subtitle = self._decoder.decode2(packet) if packet.size else None
        if subtitle is None or packet.pts is None:
            return
        made = self.stream.codec_context.encode_subtitle(subtitle)
        made.pts = made.dts = packet.pts - shift
        made.duration, made.time_base = packet.duration, packet.time_base
        made.stream = self.stream
        yield made


class _Sound(Converter):
    """Sound into a codec that the container can hold."""

    def __init__(self, source: Any, out: Any) -> None:
        av = load_av()
        self._decoder = source.codec_context
        name = _SOUND[out.format.name]
        rate = 48_000 if name == "libopus" else source.rate
        channels = source.layout.nb_channels
        named = not source.layout.name[:1].isdigit() or "." in source.layout.name
        layout = source.layout.name if named else _LAYOUTS.get(channels, "stereo")
        stream = out.add_stream(name, rate=rate, layout=layout)
        if name != "flac":
            stream.bit_rate = _SOUND_BITS
        super().__init__(stream)
        _inherit(stream, source)
        context = stream.codec_context
        context.open(strict=False)
        self._resampler = av.AudioResampler(
            format=context.format.name,
            layout=context.layout.name,
            rate=rate,
            frame_size=context.frame_size or None,
        )

    def convert(self, packet: Any, shift: int) -> Iterator[Any]:
        av = load_av()
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            return  # a damaged packet is a gap, as it is when the source is played
        for frame in frames:
            if frame.pts is not None:
                frame.pts -= shift
            yield from self._encoded(frame)

    def flush(self) -> Iterator[Any]:
        yield from self._encoded(None)
        yield from self._stamped(self.stream.codec_context.encode(None))

    def _encoded(self, frame: Any) -> Iterator[Any]:
        for ready in self._resampler.resample(frame):
            yield from self._stamped(self.stream.codec_context.encode(ready))

    def _stamped(self, packets: Any) -> Iterator[Any]:
        for made in packets:
            if made.size and made.pts is not None:  # FLAC ends with an empty one
                made.stream = self.stream
                yield made


def converter_for(source: Any, out: Any) -> Converter | None:
    """How to bring a stream that cannot be copied into `out`; None when there is no way."""
    if source.codec_context is None:
        return None
    kind = out.format.name
    if source.type == "subtitle" and source.codec_context.name in _TEXT and kind in _SUBTITLES:
        return _Subtitles(source, out)
    if source.type == "audio" and kind in _SOUND:
        return _Sound(source, out)
    return None


def _inherit(added: Any, source: Any) -> None:
    added.metadata.update(stream_metadata(source.metadata))
    added.disposition = source.disposition


__all__ = ["Converter", "converter_for"]
