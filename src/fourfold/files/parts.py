"""Part files: what is being written, hidden beside where it will stand, and gone after a crash.

A part is locked for as long as its writer lives, so one that nobody holds is rubbish of an earlier
run and may be removed. Its name says who writes it, for file systems without locks.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from fourfold.files.locks import machine, remove_abandoned, still_ours

_NAME: Final = re.compile(r"\.fourfold-([0-9a-f]{4})([0-9a-f]{8})\.part(\.[A-Za-z0-9]+)?")
"""Machine, process and a random byte, in that order."""


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


@contextmanager
def part_folder(folder: Path) -> Iterator[Path]:
    """A hidden new folder beside `folder` that becomes it at the end, or is removed on any error.

    A process that finds `folder` there by then leaves it as it is: for content that is the same
    whoever made it. Raises `OSError` as the file system does.
    """
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir(parents=True)
        yield part
        if not folder.exists():
            part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _create(folder: Path, suffix: str) -> tuple[Path, int]:
    while True:
        number = (os.getpid() << 8 | secrets.randbits(8)) & 0xFFFFFFFF
        path = folder / f".fourfold-{machine()[:4]}{number:08x}.part{suffix}"
        with suppress(FileExistsError):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
            if still_ours(path, descriptor):
                return path, descriptor
            os.close(descriptor)


def remove_leftovers(folder: Path) -> list[Path]:
    """Remove the parts in `folder` that no living process holds; returns their paths."""
    removed: list[Path] = []
    with suppress(OSError):
        for entry in os.scandir(folder):
            found = _NAME.fullmatch(entry.name)
            if found and entry.is_file(follow_symlinks=False):
                path, holder = Path(entry.path), (found[1], int(found[2], 16) >> 8)
                if remove_abandoned(path, said=False, holder=holder):
                    removed.append(path)
    return removed


__all__ = ["locked_part", "part_folder", "remove_leftovers"]
