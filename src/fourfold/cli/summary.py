"""What became of many inputs, in a few lines at the end."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

from fourfold.cli.watch import clock

if TYPE_CHECKING:
    from fourfold.jobs.outcome import Outcome

_MOST_NOTES = 5


class Summary:
    """Counts outcomes; `lines` says how many, how long, where, and what was not kept."""

    def __init__(self) -> None:
        self._states: Counter[str] = Counter()
        self._notes: Counter[str] = Counter()
        self._folders: dict[str, None] = {}
        self._started = time.perf_counter()

    def add(self, outcome: Outcome) -> None:
        """One more is over and done with."""
        self._states[outcome.status] += 1
        self._notes.update(set(outcome.notes))
        if outcome.status == "done" and outcome.path is not None:
            self._folders[str(outcome.path.parent)] = None

    def lines(self) -> list[str]:
        """The counts first, then the notes by how many inputs they concern."""
        words = {"done": "done", "skipped": "were there", "failed": "failed"}
        counts = [f"{self._states[state]} {word}" for state, word in words.items()
                  if self._states[state] or state == "done"]  # fmt: skip
        where = ""
        if self._folders:
            first = next(iter(self._folders))
            more = len(self._folders) - 1
            where = f", in {first}" + (f" and {more} more folder{'s' * (more > 1)}" if more else "")
        told = [f"{', '.join(counts)} in {clock(time.perf_counter() - self._started)}{where}"]
        told += [f"{count}x {note}" for note, count in self._notes.most_common(_MOST_NOTES)]
        return told


__all__ = ["Summary"]
