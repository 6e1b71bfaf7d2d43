"""Locks that end with the process that holds them, also where the file system has none.

A lock is a small file that exists while it is held. It is created so that only one process can,
and held by `flock`, which ends with the process even under `kill -9`. Where `flock` is not
supported, the file says who holds it: a holder that no longer runs on this machine has lost it,
one on another machine is believed.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import secrets
import time
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final


def _fcntl() -> Any:
    """The module; None on Windows, where an open file cannot be removed: lock enough."""
    try:
        return importlib.import_module("fcntl")
    except ImportError:
        return None


_FCNTL: Final = _fcntl()

_UNSAID: Final = 10.0
"""Seconds for which a lock file that does not say yet who holds it is believed to be held."""


@dataclass(frozen=True, slots=True)
class Lock:
    """Held until `release`, or until the process ends."""

    path: Path
    descriptor: int

    def release(self) -> None:
        """Remove the lock file; another may take it now."""
        if _FCNTL is None:
            os.close(self.descriptor)
        with suppress(OSError):
            self.path.unlink()
        if _FCNTL is not None:
            os.close(self.descriptor)


def take_lock(path: Path) -> Lock | None:
    """Take the lock whose file is `path`, without waiting; None while another holds it.

    Excludes other threads too. Raises `OSError` when the file cannot be written.
    """
    while True:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        except FileExistsError:
            if not remove_abandoned(path, said=True):
                return None
            continue
        try:
            os.write(descriptor, f"{machine()} {os.getpid()} {secrets.token_hex(8)}".encode())
        except OSError:  # the disk is full
            Lock(path, descriptor).release()
            raise
        if still_ours(path, descriptor):
            return Lock(path, descriptor)
        os.close(descriptor)


def still_ours(path: Path, descriptor: int) -> bool:
    """Lock a file that has just been created; False when a cleaner was faster."""
    if flock(descriptor) is False:
        return False
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False


def flock(descriptor: int) -> bool | None:
    """Lock an open file without waiting: whether it is ours; None where there are no locks."""
    if _FCNTL is None:
        return None
    try:
        _FCNTL.flock(descriptor, _FCNTL.LOCK_EX | _FCNTL.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def remove_abandoned(path: Path, *, said: bool, holder: tuple[str, int] | None = None) -> bool:
    """Remove a file that nobody holds any more; whether it is gone.

    `holder`, a machine and a process, is asked where there are no locks; with `said` it is what
    the file itself says.
    """
    try:
        if _FCNTL is None:
            path.unlink()
            return True
        descriptor = os.open(path, os.O_RDWR)
        try:
            locked = flock(descriptor)
            if locked is None and said:
                return _break(path, os.pread(descriptor, 100, 0))
            if locked is False or (locked is None and (holder is None or runs(*holder))):
                return False
            # Meanwhile another may have removed it and taken a new one of this name.
            if locked is None or os.path.samestat(os.fstat(descriptor), path.stat()):
                path.unlink()
            return True
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        return True
    except OSError:
        return False


def _break(path: Path, content: bytes) -> bool:
    """Remove a lock whose holder is gone.

    Of all who find it so, only the one that creates a file named after this very lock removes it,
    and only while it is this one: else a slow process would remove the lock of the next holder.
    """
    words = content.decode("ascii", "replace").split()
    if len(words) != 3 or not words[1].isdigit() or not words[2].isalnum():
        if time.time() - path.stat().st_mtime < _UNSAID:
            return False
        words = ["", "", "unsaid"]
    elif runs(words[0], int(words[1])):
        return False
    marker = path.with_name(f"{path.name}.{words[2]}")
    try:
        os.close(os.open(marker, os.O_CREAT | os.O_EXCL))
    except FileExistsError:
        return False
    try:
        if path.read_bytes() != content:
            return False
        path.unlink()
        return True
    finally:
        marker.unlink()


@cache
def machine() -> str:
    """Eight hexadecimal digits for this machine and what it counts processes in."""
    name = platform.node()
    with suppress(OSError):  # containers count their processes by themselves
        name += str(Path("/proc/self/ns/pid").readlink())
    return hashlib.sha256(name.encode()).hexdigest()[:8]


def runs(on: str, process: int) -> bool:
    """Whether a process may still run; those of other machines are believed to."""
    if not machine().startswith(on):
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it runs, for another user
        return True
    return True


__all__ = ["Lock", "flock", "machine", "remove_abandoned", "runs", "still_ours", "take_lock"]
