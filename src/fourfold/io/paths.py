"""Finding inputs, and write-then-rename: an output exists whole or not at all."""

from __future__ import annotations

import glob
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fourfold.errors import InputError, OutputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside `path` to write to; rename it over `path` on success.

    The part file keeps the suffix, since writers choose the format by it. On any exception,
    Ctrl-C included, it is removed. `OutputError` for what the file system refuses.
    """
    part = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _flush_to_disk(part)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    """Make the content durable before the rename, so a power cut cannot leave an empty file."""
    with path.open("r+b") as file:  # Windows refuses to flush a file opened for reading
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Found:
    """An input file and where it stands below the folder it was found in."""

    path: Path
    relative: Path
    """Name to mirror below an output folder; just the file name for files given directly."""


def find_inputs(texts: Iterable[str], *, recursive: bool = False) -> list[Found]:
    """Files behind names, folders and globs, sorted, each once.

    Hidden files are left out of folders. A folder's sub-folders are entered with `recursive`;
    symbolic links to folders are not, so loops cannot occur. A name that leads nowhere is kept:
    reading it gives the error that names it.
    """
    found: dict[Path, Found] = {}
    for text in texts:
        path = Path(text)
        if path.is_dir():
            matches = [Found(p, p.relative_to(path)) for p in _files_below(path, recursive)]
        elif glob.has_magic(text) and not path.exists():
            names = sorted(glob.glob(text, recursive=recursive))
            matches = [Found(Path(n), Path(Path(n).name)) for n in names if Path(n).is_file()]
            if not matches:
                raise InputError(f"{text}: no file matches")
        else:
            matches = [Found(path, Path(path.name))]
        for item in matches:
            found.setdefault(Path(os.path.realpath(item.path)), item)
    return list(found.values())


def _files_below(folder: Path, recursive: bool) -> Iterator[Path]:
    for root, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if recursive else []
        for name in sorted(files):
            if not name.startswith("."):
                yield Path(root) / name
