"""Files of jobs: a folder each, below the data folder, named by ids that are made here."""

from __future__ import annotations

import logging
import re
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Final

from fourfold.errors import UsageError, shown
from fourfold.files.locks import Lock, take_lock
from fourfold.films.probe import VIDEO_SUFFIXES
from fourfold.pictures.formats import SUFFIXES

logger = logging.getLogger(__name__)

ID: Final = re.compile(r"[A-Za-z0-9_-]{22}")
INPUT: Final = "input"
_LONGEST_NAME: Final = 120


class Folder:
    """The data folder; one process at a time works in it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        try:
            self._jobs.mkdir(parents=True, exist_ok=True, mode=0o700)
            root.chmod(0o700)
            self._lock: Lock | None = take_lock(root / ".serve.lock")
        except OSError as error:
            raise UsageError(
                f"--data-dir {root}: cannot be used ({error.strerror or error})"
            ) from error
        if self._lock is None:
            raise UsageError(
                f"--data-dir {root}: another service works in it; choose another folder"
            )

    @property
    def _jobs(self) -> Path:
        return self.root / "jobs"

    @property
    def base(self) -> Path:
        """File of the job store."""
        return self.root / "jobs.sqlite"

    def close(self) -> None:
        """Let another process work here."""
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def new(self) -> str:
        """The id of a new job, whose folder exists."""
        id_ = secrets.token_urlsafe(16)
        self.of(id_).mkdir(mode=0o700)
        return id_

    def of(self, id_: str) -> Path:
        """The folder of a job."""
        assert ID.fullmatch(id_), "ids are made by `new`"
        return self._jobs / id_

    def input(self, id_: str, suffix: str) -> Path:
        """Where the file that came is kept."""
        return self.of(id_) / f"{INPUT}{suffix}"

    def results(self, id_: str) -> Path:
        """Where the result goes."""
        return self.of(id_) / "result"

    def remove(self, id_: str) -> None:
        """Remove all files of a job."""
        shutil.rmtree(self.of(id_), ignore_errors=True)

    def keep_only(self, ids: Iterable[str]) -> None:
        """Remove what broken-off uploads have left."""
        known = set(ids)
        for entry in self._jobs.iterdir():
            if entry.name not in known:
                logger.info("removed %s, which no job knows", entry)
                shutil.rmtree(entry, ignore_errors=True)


def display_name(sent: str) -> str:
    """What a sender calls a file, as one harmless line without folders.

    >>> display_name("../../etc/passwd"), display_name(r"C:\\\\a\\\\b.png"), display_name("..")
    ('passwd', 'b.png', 'file')
    """
    name = PureWindowsPath(PurePosixPath(sent.replace("\0", "")).name).name
    name = shown(name).strip().lstrip(".")
    stem, suffix = PurePosixPath(name).stem, PurePosixPath(name).suffix
    return f"{stem[:_LONGEST_NAME]}{suffix[:16]}" or "file"


def kept_suffix(name: str) -> str:
    """The suffix a file is kept under: that of its name where it is a picture's or film's."""
    suffix = PurePosixPath(name).suffix.lower()
    return suffix if suffix in SUFFIXES or suffix in VIDEO_SUFFIXES else ""


def result_name(name: str, result: str) -> str:
    """What a result is called when it is handed out.

    >>> result_name("cat.jpg", "input_x4.png")
    'cat_x4.png'
    """
    return f"{PurePosixPath(name).stem}{result.removeprefix(INPUT)}"


__all__ = ["ID", "INPUT", "Folder", "display_name", "kept_suffix", "result_name"]
