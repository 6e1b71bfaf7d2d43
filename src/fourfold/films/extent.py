"""Is a source whole? What its container states against the packets seen while it is copied."""

from __future__ import annotations

import itertools
import logging
import re
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from fourfold.films.probe import VideoInfo
from fourfold.films.pyav import load_av

_STATING: Final = ("mov", "matroska", "avi", "flv", "asf")
"""Containers with a length in the header; of others FFmpeg guesses one from the last packets."""

_MARGIN: Final = Fraction(1, 2)
_SHARE: Final = Fraction(1, 10)
"""A film may be this many seconds, or this part of it if less, shorter than it states."""

_TRANSPORT: Final = "mpegts"
_SHORT_UNIT: Final = "PES packet size mismatch"
"""FFmpeg's warning; the mark it sets beside it is lost when packets are parsed."""

_PACKETS: Final = ((188, 0), (192, 4), (204, 0))
"""Sizes of a packet of a transport stream and where its first byte, 0x47, stands in it: ISO/IEC
13818-1, with a time code before it (M2TS) or check bytes behind it (DVB)."""


class Extent:
    """Follows the packets of an open source, and then says what is missing of it."""

    def __init__(self, container: Any, info: VideoInfo, *, listens: bool = True) -> None:
        """With `listens` also by what FFmpeg logs: not while frames of the film are decoded.

        Decoder threads that log wait for Python's lock, and PyAV holds it while it waits for them.
        """
        self._container, self._info, self._listens = container, info, listens
        self._kind: str = container.format.name
        self._starts: dict[int, Fraction] = {}
        self._ends: dict[int, Fraction] = {}
        self._shown: list[int] = []
        self._log: list[tuple[int, str, str]] = []

    def follow(self, packets: Iterator[Any]) -> Iterator[Any]:
        """The packets, as they are; a source that breaks off ends here, which its length shows."""
        av = load_av()
        with ExitStack() as stack:
            if self._listens:
                self._log = stack.enter_context(_EAR.listening())
            try:
                for packet in packets:
                    self._note(packet)
                    yield packet
            except av.error.FFmpegError:
                return

    def _note(self, packet: Any) -> None:
        begin = packet.pts if packet.pts is not None else packet.dts
        if begin is None:
            return
        end = (begin + (packet.duration or 0)) * packet.time_base
        index = packet.stream_index
        self._starts[index] = min(begin * packet.time_base, self._starts.get(index, end))
        self._ends[index] = max(end, self._ends.get(index, end))
        if index == self._info.stream:
            self._shown.append(begin)

    def faults(self) -> list[str]:
        """What is wrong with the source, a few words each; nothing when all is there."""
        if self._kind == _TRANSPORT:
            return self._transport_faults()
        if not self._kind.startswith(_STATING):
            return []
        faults = []
        stated, missing = self._missing()
        if missing:
            faults.append(f"{float(missing):.1f} s of {float(stated):.1f} s are missing")
        # The name of the reader, not of the writer.
        errors = [line for line in self._log if line[0] <= load_av().logging.ERROR]
        stumbled = [text.strip() for _, name, text in errors if name == "matroska,webm"]
        if stumbled:
            faults.append(f"the container is damaged ({stumbled[0]})")
        return faults

    def _transport_faults(self) -> list[str]:
        """A transport stream states no length, but it ends with a whole packet of a whole unit.

        Units of sound and subtitles state their size; those of pictures need not.
        """
        if _ends_early(self._info.path):
            return ["the transport stream ends within a packet"]
        if any(_SHORT_UNIT in text for _, _, text in self._log):
            return ["the transport stream has incomplete units of sound"]
        return []

    def _missing(self) -> tuple[Fraction, Fraction]:
        """Seconds stated, and how many of them are not there.

        The enlarged stream's own length counts where there is one. A length of the whole file is
        that of its longest stream, so all streams have to end before it.
        """
        main = self._info.stream
        own = _own_length(self._container.streams[main], self._info, self._kind)
        first, end = self._starts.get(main, Fraction(0)), self._ends.get(main, Fraction(0))
        stated = Fraction(self._container.duration or 0, 1_000_000) if own is None else own
        # Some writers state a length, some the time of the end.
        got = max(self._ends.values(), default=end) if own is None else max(end, end - first)
        missing = stated - got
        allowed = max(min(_MARGIN, stated * _SHARE), 2 / self._info.rate, self._longest_gap())
        return stated, missing if missing > allowed else Fraction(0)

    def _longest_gap(self) -> Fraction:
        """Between two pictures; the last one may be shown as long."""
        shown = sorted(self._shown)
        gap = max((b - a for a, b in itertools.pairwise(shown)), default=0)
        return gap * self._info.time_base


def _own_length(stream: Any, info: VideoInfo, kind: str) -> Fraction | None:
    """Seconds the stream states for itself."""
    if kind.startswith("matroska"):
        tags = (text for key, text in stream.metadata.items() if key.startswith("DURATION"))
        match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)\s*", next(tags, ""))
        if match is None:
            return None
        return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
    if kind.startswith("avi"):
        # FFmpeg estimates the length of one that is cut, but tells how many frames it states.
        return info.stated_frames * Fraction(stream.time_base)
    if kind.startswith("mov"):
        # Without a frame count (fragmented MP4) the length is a sum of what was found.
        stated = stream.duration if info.stated_frames else None
        return Fraction(stated * stream.time_base) if stated else Fraction(0)
    return None


def _ends_early(path: Path) -> bool:
    """Whether a transport stream ends within one of its packets."""
    with path.open("rb") as file:
        start = file.read(1024)
    for size, place in _PACKETS:
        if start[place::size] and set(start[place::size]) == {0x47}:
            return path.stat().st_size % size != 0
    return False


class _Ear:
    """FFmpeg's log, which PyAV passes on only when asked, by one level for the whole process.

    Several films may be listened to at a time, each in a thread of its own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._listeners = 0
        self._before: int | None = None

    @contextmanager
    def listening(self) -> Iterator[list[tuple[int, str, str]]]:
        """Warnings and errors of this thread: level, name and text."""
        av_logging = load_av().logging
        # What is said in other threads goes to this logger, and without a handler to stderr.
        logging.getLogger("libav").addHandler(_NOWHERE)
        with self._lock:
            if not self._listeners:
                self._before = av_logging.get_level()
                av_logging.set_level(av_logging.WARNING)
            self._listeners += 1
        try:
            with av_logging.Capture() as lines:
                yield lines
        finally:
            with self._lock:
                self._listeners -= 1
                if not self._listeners:
                    av_logging.set_level(self._before)


_NOWHERE: Final = logging.NullHandler()
_EAR: Final = _Ear()


__all__ = ["Extent"]
