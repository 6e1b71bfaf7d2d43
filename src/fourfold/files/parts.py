"""Part files: what is being written, hidden beside where it will stand, and gone after a crash.

A part is locked for as long as its writer lives. The lock dies with the process, even under
`kill -9`, so a part nobody holds is rubbish of an earlier run and may be removed.
"""

from __future__ import annotations

import importlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final


def _fcntl() -> Any:
    """The module; None on Windows, where an open file cannot be removed: lock enough."""
    try:
        return importlib.import_module("fcntl")
    except ImportError:
        return None


_FCNTL: Final = _fcntl()

_NAME: Final = re.compile(r"^\.fourfold-[0-9a-f]{12}\.part(\.[A-Za-z0-9]+)?$")


@contextmanager
def locked_part(folder: Path, suffix: str = "") -> Iterator[Path]:
    """Create an empty, locked part file in `folder`; remove it at the end if it is still there.

    `suffix` (`.png`) stays at the end of the name, since some writers choose the format by it.
    Raises `OSError` as the file system does.
    """
    path, descriptor = _create(folder, suffix)
    try:
        yield path
    finally:
        with suppress(OSError):
            os.close(descriptor)
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _create(folder: Path, suffix: str) -> tuple[Path, int]:
    while True:
        path = folder / f".fourfold-{secrets.token_hex(6)}.part{suffix}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        if not _lock(descriptor):  # a cleaner was faster than our lock
            os.close(descriptor)
            continue
        # It may also have removed the file between our two calls.
        if path.exists():
            return path, descriptor
        os.close(descriptor)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove the parts in `folder` that no living process holds; returns their paths."""
    removed: list[Path] = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            if _NAME.match(entry.name) and entry.is_file(follow_symlinks=False):
                path = Path(entry.path)
                if _remove_if_dead(path):
                    removed.append(path)
    return removed


def _remove_if_dead(path: Path) -> bool:
    try:
        if _FCNTL is None:
            path.unlink()
            return True
        descriptor = os.open(path, os.O_RDWR)
        try:
            if not _lock(descriptor):
                return False
            path.unlink()
            return True
        finally:
            os.close(descriptor)
    except OSError:
        return False


def _lock(descriptor: int) -> bool:
    """Take the lock without waiting. File systems without locks let everybody have it."""
    if _FCNTL is None:
        return True
    try:
        _FCNTL.flock(descriptor, _FCNTL.LOCK_EX | _FCNTL.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


__all__ = ["locked_part", "remove_leftovers"]
