"""Unfinished work beside the output: finished segments, and what they belong to.

The folder's name carries a hash of the input's content and of every setting that changes the
result, so the same command finds its work again and another one never mistakes it for its own.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, Final

from fourfold.errors import InputError, OutputError
from fourfold.files.content import content_mark
from fourfold.files.paths import errors_name
from fourfold.films.packets import Segment, read_segment, write_segment

_ENDING: Final = ".fourfold"
_KEPT_SECONDS: Final = 86_400.0
"""How long work with other settings waits to be gone on with."""


class Scratch:
    """Segments of one film, numbered from 0, complete up to the last; and what there is of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.useless = False
        """Whether going on from here would fail again."""

    def finished(self) -> tuple[list[Path], int]:
        """Usable segments in order, and how many frames they hold.

        The first damaged one and everything behind it is removed, to be done again.
        """
        files: list[Path] = []
        frames = 0
        while (path := self._segment(len(files))).exists():
            try:
                frames += len(read_segment(path).frames)
            except InputError:
                break
            files.append(path)
        current = self._kept_name(len(files))
        for path in [*self.folder.glob("*.seg"), *self.folder.glob("*.kept")]:
            if path not in files and not path.match(current):
                path.unlink()
        for path in self.folder.glob(".*.part*"):
            path.unlink()  # being written when the process was killed
        return files, frames

    def add(self, segment: Segment, number: int) -> Path:
        """Write a finished segment; it exists whole or not at all."""
        path = self._segment(number)
        write_segment(segment, path)
        for kept in self.folder.glob(self._kept_name(number)):
            kept.unlink()
        return path

    def keep(self, frames: Segment, number: int, first: int) -> None:
        """Write frames of segment `number`, which is at work, from its frame `first` on."""
        write_segment(frames, self._kept(number, first))

    def kept(self, number: int) -> tuple[list[Path], int]:
        """Files with the first frames of segment `number`, in order, and how many they hold."""
        files: list[Path] = []
        frames = 0
        while (path := self._kept(number, frames)).exists():
            try:
                frames += len(read_segment(path).frames)
            except InputError:
                break
            files.append(path)
        return files, frames

    def _segment(self, number: int) -> Path:
        return self.folder / f"{number:06d}.seg"

    def _kept(self, number: int, first: int) -> Path:
        return self.folder / self._kept_name(number).replace("*", f"{first:06d}")

    @staticmethod
    def _kept_name(number: int) -> str:
        return f"{number:06d}-*.kept"


def fingerprint(source: Path, settings: Mapping[str, Any]) -> str:
    """Twelve hex digits for the content of `source` and the settings."""
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    digest.update(content_mark(source).encode())
    return digest.hexdigest()[:12]


@contextmanager
def open_scratch(output: Path, key: str, manifest: Mapping[str, Any]) -> Iterator[Scratch]:
    """The work folder of `output`, locked against a second process while it is in use.

    It stays when the work is broken off, unless it fails and there is nothing to go on from, and
    is removed by `remove_scratch`. `OutputError` when another process works on the same film or
    the disk refuses.
    """
    folder = output.with_name(f".{output.name}.{key}{_ENDING}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "manifest.json").write_text(
            json.dumps(manifest, indent=2, sort_keys=True, default=str), encoding="utf-8"
        )
        lock = (folder / "lock").open("a+b")
    except OSError as error:
        raise OutputError(f"{output}: cannot write ({error.strerror or error})") from error
    scratch, failed = Scratch(folder), False
    try:
        with lock:
            if not _lock(lock):
                raise OutputError(
                    f"{output}: another process is working on it; wait or stop that one"
                )
            try:
                with errors_name(output, instead_of=folder):
                    yield scratch
            except (InputError, OutputError):
                failed = scratch.useless or not any(folder.glob("*.seg"))
                raise
    finally:
        if failed:
            shutil.rmtree(folder, ignore_errors=True)


def remove_scratch(output: Path, finished: Path) -> list[str]:
    """Delete the folder `finished`, and those of other settings that have lain for a day.

    Returns what is to be said of the others: they can still go on, with their settings.
    """
    shutil.rmtree(finished, ignore_errors=True)
    notes: list[str] = []
    start = f".{output.name}."
    for path in sorted(output.parent.iterdir()):
        if not (path.name.startswith(start) and path.name.endswith(_ENDING) and path.is_dir()):
            continue
        if time.time() - path.stat().st_mtime < _KEPT_SECONDS:
            notes.append(f"unfinished work with other settings is kept for a day: {path.name}")
        else:
            shutil.rmtree(path, ignore_errors=True)
            notes.append("unfinished work with other settings, a day old, is removed")
    return notes


def _lock(file: IO[bytes]) -> bool:
    """Hold the file until it is closed or the process ends; False when somebody else does."""
    if os.name == "nt":
        import msvcrt

        with suppress(OSError):
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined, unused-ignore]
            return True
        return False
    import fcntl

    with suppress(OSError):
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False


__all__ = ["Scratch", "fingerprint", "open_scratch", "remove_scratch"]
