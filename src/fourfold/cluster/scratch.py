"""Local scratch of a worker: bounded by what is under way, and gone after a kill."""

from __future__ import annotations

import os
import shutil
import tempfile
import threading
from pathlib import Path
from typing import Any

from fourfold.files.locks import remove_abandoned, take_lock


class Scratch:
    """A folder of one process for files under way; those of killed processes are removed."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._lock: Any = None
        self._making = threading.Lock()

    @property
    def folder(self) -> Path:
        """Made when it is first needed."""
        with self._making:
            if self._folder is None:
                root = Path(tempfile.gettempdir()) / f"fourfold-scratch-{_user()}"
                root.mkdir(mode=0o700, exist_ok=True)
                for lock in root.glob("*.lock"):
                    if remove_abandoned(lock, said=True):
                        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
                folder = Path(tempfile.mkdtemp(dir=root))
                self._lock = take_lock(folder.with_name(f"{folder.name}.lock"))
                self._folder = folder
            return self._folder

    def close(self) -> None:
        """Remove the folder."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            if self._lock is not None:
                self._lock.release()
            self._folder = None


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


__all__ = ["Scratch"]
