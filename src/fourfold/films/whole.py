"""Is a source whole? What its container states against what is in it."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, Final, NamedTuple

from fourfold.films.probe import VideoInfo, open_input
from fourfold.films.pyav import load_av

_STATING: Final = ("mov", "matroska", "avi", "flv", "asf")
"""Containers with a length in the header; of others FFmpeg guesses one from the last packets."""

_MARGIN: Final = Fraction(1, 2)
_SHARE: Final = Fraction(1, 10)
"""A film may be this many seconds, or this part of it if less, shorter than it states."""


class Wholeness(NamedTuple):
    """What reading a source to its end has shown."""

    stated: Fraction
    """Seconds of film it states; 0 when it states none that can be relied on."""
    missing: Fraction
    """How many of them are not there."""
    broken: str | None
    """What the container's reader stumbled over, in FFmpeg's words."""


def wholeness(info: VideoInfo) -> Wholeness:
    """Read every packet of a source, without decoding, and compare with what its header says.

    The enlarged stream's own length counts where there is one. A length of the whole file is that
    of its longest stream, so all streams have to end before it.
    """
    with open_input(info.path) as container:
        kind = container.format.name
        if not kind.startswith(_STATING):
            return Wholeness(Fraction(0), Fraction(0), None)
        own = _own_length(container.streams[info.stream], info, kind)
        with _errors() as errors:
            starts, ends, gap = _extents(container, info.stream)
        total = Fraction(container.duration or 0, 1_000_000)
    stumbled = [text.strip() for _, name, text in errors if name.startswith("matroska")]
    first, end = starts.get(info.stream, Fraction(0)), ends.get(info.stream, Fraction(0))
    stated = total if own is None else own
    # Some writers state a length, some the time of the end.
    got = max(ends.values(), default=end) if own is None else max(end, end - first)
    frame = 2 / info.rate
    missing = stated - got
    if missing <= max(min(_MARGIN, stated * _SHARE), frame, gap):
        missing = Fraction(0)
    return Wholeness(stated, missing, stumbled[0] if stumbled else None)


def _own_length(stream: Any, info: VideoInfo, kind: str) -> Fraction | None:
    """Seconds the stream states for itself."""
    if kind.startswith("matroska"):
        tags = (text for key, text in stream.metadata.items() if key.startswith("DURATION"))
        match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)\s*", next(tags, ""))
        if match is None:
            return None
        return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
    if kind.startswith(("mov", "avi")):
        # Without a frame count (fragmented MP4) the length is a sum of what was found.
        stated = stream.duration if info.stated_frames else None
        return Fraction(stated * stream.time_base) if stated else Fraction(0)
    return None


def _extents(
    container: Any, main: int
) -> tuple[dict[int, Fraction], dict[int, Fraction], Fraction]:
    """First and last second of each stream, and the longest time between two pictures."""
    av = load_av()
    starts: dict[int, Fraction] = {}
    ends: dict[int, Fraction] = {}
    shown: list[int] = []
    try:
        for packet in container.demux():
            if packet.pts is None and packet.dts is None:
                continue
            begin = packet.pts if packet.pts is not None else packet.dts
            end = (begin + (packet.duration or 0)) * packet.time_base
            index = packet.stream_index
            starts[index] = min(begin * packet.time_base, starts.get(index, end))
            ends[index] = max(end, ends.get(index, end))
            if index == main:
                shown.append(begin)
    except av.error.FFmpegError:
        pass  # ends here, which the lengths will show
    shown.sort()
    gap = max((b - a for a, b in itertools.pairwise(shown)), default=0)
    return starts, ends, gap * container.streams[main].time_base


@contextmanager
def _errors() -> Iterator[list[tuple[int, str, str]]]:
    """What FFmpeg logs as errors in this thread; PyAV logs nothing unless asked."""
    logging = load_av().logging
    before = logging.get_level()
    logging.set_level(logging.ERROR)
    try:
        with logging.Capture() as errors:
            yield errors
    finally:
        logging.set_level(before)


__all__ = ["Wholeness", "wholeness"]
