"""After many inputs it is said how many, how long, where, and what was not kept."""

from __future__ import annotations

from pathlib import Path

from fourfold.cli.summary import Summary
from fourfold.jobs.outcome import Outcome


def test_counts_folders_and_notes() -> None:
    summary = Summary()
    for name in ("a", "b", "c"):
        path = Path("large") / ("more" if name == "c" else ".") / f"{name}.png"
        notes = ("CMYK becomes sRGB",) if name != "c" else ("no IPTC in PNG",)
        summary.add(Outcome(input=name, status="done", path=path, notes=notes))
    summary.add(Outcome(input="d", status="skipped", path=Path("large/d.png")))
    summary.add(Outcome(input="e", status="failed", reason="e: not a picture"))
    counts, *notes = summary.lines()
    assert counts == "3 done, 1 were there, 1 failed in 0:00, in large and 1 more folder"
    assert notes == ["2x CMYK becomes sRGB", "1x no IPTC in PNG"]


def test_nothing_done_is_said_too() -> None:
    summary = Summary()
    summary.add(Outcome(input="d", status="skipped"))
    assert summary.lines() == ["0 done, 1 were there in 0:00"]
