"""Reading a finished film back: does it hold what was to go in?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from fourfold.films.probe import main_stream, open_input

_TOLERANCE = Fraction(1, 20)
"""Seconds by which all streams together may be moved otherwise than foreseen."""


def audit(
    path: Path,
    *,
    times: Sequence[Fraction],
    streams: Mapping[str, int],
    earliest: Fraction = Fraction(0),
) -> list[str]:
    """What is wrong with the film at `path`, one sentence each; nothing when all is right.

    Args:
        path: a film this package has written.
        times: seconds at which each frame is to be shown, in order.
        streams: how many streams of each type it is to hold.
        earliest: seconds of the first time stamp of all streams. Matroska, which knows no time
            below zero, moves all streams by no more than it is below.
    """
    with open_input(path) as container:
        faults = []
        for kind, wanted in streams.items():
            got = sum(stream.type == kind for stream in container.streams)
            if got != wanted:
                faults.append(f"{wanted} {kind} streams were to be written, {got} are there")
        stream = main_stream(container, path)
        unit = Fraction(stream.time_base)
        packets = [p for p in container.demux(stream) if p.pts is not None]
        stamps = [p.pts * unit for p in packets if not p.is_discard]  # else no player shows it
        is_matroska = "matroska" in container.format.name
    if len(stamps) != len(times):
        return [*faults, f"{len(times)} frames went in, {len(stamps)} came out"]
    shift = min(stamps) - times[0]
    furthest = max(abs(got - want - shift) for got, want in zip(sorted(stamps), times, strict=True))
    # Half a unit of rounding for the frame, half for the first one, which sets the shift.
    # A delay the stream states (Opus) is below zero when read, and moves nothing.
    allowed = max(-earliest, Fraction(0)) if is_matroska else Fraction(0)
    wrongly = max(shift - allowed, -shift)
    if furthest > unit or wrongly > _TOLERANCE:
        off = float(max(furthest, wrongly))
        faults.append(f"time stamps are off by up to {off:.4f} s")
    return faults


__all__ = ["audit"]
