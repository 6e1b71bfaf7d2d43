"""Reading a finished film back: does it hold what was to go in?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from fourfold.io.video.probe import main_stream, open_input

_LARGEST_SHIFT = Fraction(1, 4)
"""Seconds by which a container may move everything together (encoder delay of sound)."""


def audit(path: Path, *, times: Sequence[Fraction], streams: Mapping[str, int]) -> list[str]:
    """What is wrong with the film at `path`, one sentence each; nothing when all is right.

    Args:
        path: a film this package has written.
        times: seconds at which each frame is to be shown, in order.
        streams: how many streams of each type it is to hold.
    """
    with open_input(path) as container:
        faults = []
        for kind, wanted in streams.items():
            got = sum(stream.type == kind for stream in container.streams)
            if got != wanted:
                faults.append(f"{wanted} {kind} streams were to be written, {got} are there")
        stream = main_stream(container, path)
        unit = Fraction(stream.time_base)
        stamps = [p.pts * unit for p in container.demux(stream) if p.pts is not None]
    if len(stamps) != len(times):
        return [*faults, f"{len(times)} frames went in, {len(stamps)} came out"]
    shift = min(stamps) - times[0]
    furthest = max(abs(got - want - shift) for got, want in zip(sorted(stamps), times, strict=True))
    # Half a unit of rounding for the frame, half for the first one, which sets the shift.
    if furthest > unit or abs(shift) > _LARGEST_SHIFT:
        off = float(max(furthest, abs(shift)))
        faults.append(f"time stamps are off by up to {off:.4f} s")
    return faults


__all__ = ["audit"]
