"""Clocks that jump back, as in transport streams that were strung together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any, Final

JUMP: Final = Fraction(1, 2)
"""Seconds back from which on a clock has started anew; less is a stamp out of order."""

_SPARSE: Final = ("subtitle", "data")


class Straightener:
    """Makes the decoding times of packets increase, stream by stream.

    Behind a jump back each stream goes on where it ended; subtitles, which have gaps, move by as
    much as sound or pictures did last. Packets that are out of order otherwise are left out.
    """

    def __init__(self) -> None:
        self.jumps = 0
        """Places where the clock of a stream went back."""
        self.dropped = 0
        """Packets left out."""
        self._ends: dict[int, int] = {}
        self._last: dict[int, int] = {}
        self._offsets: dict[int, Fraction] = {}
        self._latest = Fraction(0)

    def notes(self) -> list[str]:
        """What was changed, a sentence each."""
        notes = []
        if self.jumps:
            notes.append("the clock goes back; what follows is shown after what was before")
        if self.dropped:
            notes.append(f"{self.dropped} packets whose time stamps go back are left out")
        return notes

    def straighten(self, packets: Iterable[Any]) -> Iterator[Any]:
        """The packets, their times moved in place; seconds and ticks are the source's."""
        for packet in packets:
            if packet.dts is None and packet.pts is None:
                yield packet
                continue
            self._move(packet)
            index, dts = packet.stream_index, packet.dts
            if dts is None:
                yield packet
                continue
            last = self._last.get(index)
            least = None if last is None else last + (packet.stream.type not in _SPARSE)
            if least is not None and dts < least:
                self.dropped += 1
                continue
            self._last[index] = dts
            self._ends[index] = dts + (packet.duration or 0)
            yield packet

    def _move(self, packet: Any) -> None:
        index, unit = packet.stream_index, Fraction(packet.time_base)
        sparse = packet.stream.type in _SPARSE
        offset = self._latest if sparse else self._offsets.get(index, Fraction(0))
        last = self._last.get(index)
        if not sparse and last is not None and packet.dts is not None:
            behind = last * unit - (packet.dts * unit + offset)
            if behind > JUMP:
                self.jumps += 1
                offset += behind + max(1, self._ends[index] - last) * unit
                self._offsets[index] = self._latest = offset
        ticks = round(offset / unit)
        if ticks:
            packet.pts = None if packet.pts is None else packet.pts + ticks
            packet.dts = None if packet.dts is None else packet.dts + ticks


__all__ = ["JUMP", "Straightener"]
