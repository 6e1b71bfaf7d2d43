"""Many results as one ZIP file, written while it is sent."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

_CHUNK: Final = 1 << 18


class _Pipe:
    """What `zipfile` writes to: a file that cannot be sought in."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._chunks.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        return None

    def close(self) -> None:
        return None

    def taken(self) -> bytes:
        data = b"".join(self._chunks)
        self._chunks.clear()
        return data


def unique_names(names: Iterable[str]) -> list[str]:
    """Each name once, whatever the case.

    >>> unique_names(["a.png", "A.png", "b.png"])
    ['a.png', 'A (2).png', 'b.png']
    """
    used: set[str] = set()
    made = []
    for name in names:
        path, count, free = Path(name), 1, name
        while free.casefold() in used:
            count += 1
            free = f"{path.stem} ({count}){path.suffix}"
        used.add(free.casefold())
        made.append(free)
    return made


def stream_zip(files: Iterable[tuple[str, Path]]) -> Iterator[bytes]:
    """Chunks of a ZIP file, stored as they are: pictures and films do not get smaller."""
    pipe = _Pipe()
    entries = list(files)
    names = unique_names(name for name, _ in entries)
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, (_, path) in zip(names, entries, strict=True):
            if not path.is_file():  # forgotten meanwhile
                continue
            entry = zipfile.ZipInfo.from_file(path, name)
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as out:
                while chunk := source.read(_CHUNK):
                    out.write(chunk)
                    yield pipe.taken()
    yield pipe.taken()


__all__ = ["stream_zip", "unique_names"]
