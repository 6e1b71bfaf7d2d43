"""Local scratch of a worker: bounded by what is under way, and gone after a kill."""

from __future__ import annotations

import os
import secrets
import shutil
import tempfile
import threading
from pathlib import Path

from fourfold.files.locks import Lock, take_lock


class Scratch:
    """A folder of one process for files under way; those of killed processes are removed."""

    def __init__(self) -> None:
        self._folder: Path | None = None
        self._lock: Lock | None = None
        self._making = threading.Lock()

    @property
    def folder(self) -> Path:
        """Made when it is first needed."""
        with self._making:
            if self._folder is None:
                root = Path(tempfile.gettempdir()) / f"fourfold-scratch-{_user()}"
                root.mkdir(mode=0o700, exist_ok=True)
                for path in root.glob("*.lock"):
                    if abandoned := take_lock(path):  # and hold it: its name is nobody's meanwhile
                        shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                        abandoned.release()
                while self._lock is None:  # before there is a folder that a cleaner could remove
                    folder = root / secrets.token_hex(8)
                    self._lock = take_lock(folder.with_suffix(".lock"))
                folder.mkdir(mode=0o700)
                self._folder = folder
            return self._folder

    def close(self) -> None:
        """Remove the folder."""
        if self._folder is not None and self._lock is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._lock.release()
            self._folder = self._lock = None


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


__all__ = ["Scratch"]
