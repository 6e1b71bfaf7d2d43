"""What people name on a command line, as the pictures and films behind it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from fourfold.files.paths import Found
from fourfold.files.paths import find_inputs as find_files
from fourfold.films.probe import has_film_suffix
from fourfold.pictures.formats import has_picture_suffix, looks_like_picture


def find_inputs(
    texts: Iterable[str], *, recursive: bool = False, leave_out: Path | None = None
) -> list[Found]:
    """Films (by suffix) and pictures (by suffix or first bytes) behind names, folders and globs.

    The rules are those of `files.paths.find_inputs`.
    """
    return find_files(texts, is_wanted=_is_wanted, recursive=recursive, leave_out=leave_out)


def _is_wanted(path: Path) -> bool:
    return has_film_suffix(path) or has_picture_suffix(path) or looks_like_picture(path)


__all__ = ["find_inputs"]
