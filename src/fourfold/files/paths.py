"""Finding inputs, and write-then-rename: an output exists whole or not at all."""

from __future__ import annotations

import glob
import logging
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fourfold.errors import FourfoldError, InputError, OutputError
from fourfold.files.parts import locked_part

logger = logging.getLogger(__name__)

STDIO: Final = "-"
"""As an input: standard input; as an output: standard output."""


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside `path` to write to; rename it over `path` on success.

    The part file keeps the suffix, since writers choose the format by it. On any exception,
    Ctrl-C included, it is removed; one of a killed process is found by `remove_leftovers`.
    `OutputError` for what the file system refuses. Errors within name `path`, never the part.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with locked_part(path.parent, path.suffix) as part:
            with errors_name(path, instead_of=part):
                yield part
            flush_to_disk(part)
            os.replace(part, path)
            logger.debug("wrote %s, %d bytes", path, path.stat().st_size)
    except (FileExistsError, NotADirectoryError) as error:
        raise OutputError(f"{path}: cannot write (a part of its path is a file)") from error
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror or error})") from error


@contextmanager
def errors_name(path: Path, *, instead_of: Path) -> Iterator[None]:
    """Let errors within name the result, where they name the hidden file or folder it grows in."""
    try:
        yield
    except FourfoldError as error:
        if instead_of.name not in str(error):
            raise
        folder, name = re.escape(str(instead_of.parent)), re.escape(instead_of.name)
        hidden = rf"({folder}[/\\])?{name}([/\\][\w.-]+)?"
        message = re.sub(hidden, lambda _: str(path), str(error))
        raise type(error)(message) from error


def flush_to_disk(path: Path) -> None:
    """Make the content durable before the rename, so a power cut cannot leave an empty file."""
    with path.open("r+b") as file:  # Windows refuses to flush a file opened for reading
        os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Found:
    """An input file and where it stands below the folder it was found in."""

    path: Path
    relative: Path
    """Name to mirror below an output folder; just the file name for files given directly."""
    named: bool = True
    """Given by its own name, not found in a folder or by a glob."""


def is_folder(path: Path) -> bool:
    """Whether there is a folder; False, not an error, for names that may not be looked at."""
    return os.path.isdir(path)  # noqa: PTH112  Path.is_dir raises PermissionError


def find_inputs(
    texts: Iterable[str],
    *,
    is_wanted: Callable[[Path], bool],
    recursive: bool = False,
    leave_out: Path | None = None,
) -> list[Found]:
    """Files behind names, folders and globs, sorted, each once.

    In folders, hidden files and files that are not wanted are left out, and sub-folders are
    entered with `recursive`; symbolic links to folders are not, so loops cannot occur. The folder
    `leave_out`, where results go, is not entered unless it is an input itself. A name that leads
    nowhere is kept: reading it gives the error that names it.
    """
    found: dict[Path, Found] = {}
    for text in texts:
        path = Path(text)
        if text != STDIO and is_folder(path):
            inside = _files_below(path, is_wanted, recursive, leave_out)
            matches = [Found(p, p.relative_to(path), named=False) for p in inside]
        elif text != STDIO and glob.has_magic(text) and not os.path.lexists(path):
            names = sorted(glob.glob(text, recursive=True))
            matches = [Found(Path(n), Path(Path(n).name), named=False) for n in names]
            matches = [item for item in matches if not is_folder(item.path)]
            if not matches:
                raise InputError(f"{text}: no file matches")
        else:
            matches = [Found(path, Path(path.name))]
        for item in matches:
            found.setdefault(_identity(item.path), item)
    return list(found.values())


def _identity(path: Path) -> Path:
    """The same for every way to write a path; symbolic links to one file are one input."""
    try:
        return Path(os.path.realpath(path, strict=True))
    except (OSError, ValueError):  # missing, or a link to itself
        return path.absolute()


def _files_below(
    folder: Path, is_wanted: Callable[[Path], bool], recursive: bool, leave_out: Path | None
) -> Iterator[Path]:
    unwanted = None if leave_out is None else leave_out.absolute()
    closed: list[Path] = []  # folders that may not be read are named as inputs that fail
    for root, folders, files in os.walk(folder, onerror=lambda e: closed.append(Path(e.filename))):
        kept = sorted(f for f in folders if not f.startswith(".")) if recursive else []
        folders[:] = [f for f in kept if (Path(root) / f).absolute() != unwanted]
        for name in sorted(files):
            path = Path(root) / name
            if not name.startswith(".") and is_wanted(path):
                yield path
    yield from closed


__all__ = ["STDIO", "Found", "atomic_path", "errors_name", "find_inputs", "is_folder"]
