"""Which input a result belongs to, so that no two inputs of a command write the same file."""

from __future__ import annotations

import logging
from pathlib import Path

from fourfold.errors import OutputError
from fourfold.files.parts import remove_leftovers

logger = logging.getLogger(__name__)


class Claims:
    """Which input each result belongs to, so that no two write the same file."""

    def __init__(
        self, owner: Path | None = None, *, options: str = "--suffix, --ext or -o"
    ) -> None:
        self.owner, self._options = owner, options
        self._owners: dict[str, Path | None] = {}
        self._folders: set[Path] = set()

    def take(self, path: Path) -> None:
        """`OutputError` when an earlier input has this result."""
        if path.parent not in self._folders:
            self._folders.add(path.parent)
            for leftover in remove_leftovers(path.parent):
                logger.info("removed %s, left by a run that was killed", leftover)
        # Casefolded: macOS and Windows take A.png and a.png for one file.
        key = str(path.absolute()).casefold()
        if key in self._owners:
            raise OutputError(
                f"{self.owner}: {path} is the result of {self._owners[key]}; use another "
                f"{self._options} for one of them"
            )
        self._owners[key] = self.owner


__all__ = ["Claims"]
