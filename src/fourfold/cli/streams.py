"""`fourfold upscale` to other programs, and films that are watched while they are made."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from fourfold.cli.lines import one_line
from fourfold.errors import UsageError

if TYPE_CHECKING:
    from fourfold.jobs.request import Request


def standard_output(names: list[str], out: str | None) -> str | None:
    """Where the result of standard input goes unless told: standard output, for other programs."""
    from fourfold.files.paths import STDIO

    if names == [STDIO] and out is None:
        out = STDIO
    if out == STDIO and sys.stdout.isatty():
        raise UsageError(
            "standard output: want -o FILE, > FILE or | PROGRAM; pictures and films are nothing for a "
            "terminal (`fourfold play` shows a film)"
        )
    return out


def in_time(request: Request) -> Request:
    """A film with the model that keeps up with it; what was found out is told on stderr."""
    if not request.is_film:
        return request
    from fourfold.jobs.films import realtime

    chosen, told = realtime.in_time(request)
    print(one_line(f"fourfold: {request.name}: {told}"), file=sys.stderr)
    return chosen


__all__ = ["in_time", "standard_output"]
