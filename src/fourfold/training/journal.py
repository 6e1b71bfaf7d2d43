"""The run's journal: one JSON object per line, the same after a resume as without one."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from fourfold.files.paths import atomic_path

logger = logging.getLogger(__name__)


class Journal:
    """Appends to `journal.jsonl`; each line is complete on disk before the next begins."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(self, event: str, *, step: int, **values: Any) -> None:
        """Append one line; numbers that JSON does not have (NaN) become null."""
        line = json.dumps({"event": event, "step": step, **_plain(values)}, allow_nan=False)
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        except OSError as error:  # a full disk must not end the run
            logger.warning("%s: cannot write (%s): %s", self.path, error.strerror, line)

    def cut_after(self, step: int) -> None:
        """Drop what a resumed run will do again: lines past `step`, and a torn last line."""
        if not self.path.is_file():
            return
        kept = [line for line in read_journal(self.path) if line["step"] <= step]
        with atomic_path(self.path) as part:
            part.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


def read_journal(path: Path) -> list[dict[str, Any]]:
    """All complete lines of a journal."""
    lines: list[dict[str, Any]] = []
    for text in path.read_text(encoding="utf-8").splitlines():
        try:
            lines.append(json.loads(text))
        except json.JSONDecodeError:
            continue
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, float):
        return round(value, 6) if value - value == 0 else None
    return value


__all__ = ["Journal", "read_journal"]
