"""What people name on a command line, as a request for each picture and film behind it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from fourfold.errors import UsageError, option
from fourfold.files.paths import STDIO, Found, is_folder
from fourfold.files.paths import find_inputs as find_files
from fourfold.films.join import FORMATS as FILM_FORMATS
from fourfold.films.probe import has_film_suffix
from fourfold.jobs.records import read_record
from fourfold.jobs.request import Request
from fourfold.jobs.size import FRAMES
from fourfold.pictures.formats import (
    FORMATS,
    format_of_suffix,
    has_picture_suffix,
    looks_like_picture,
)

_ADDED: Final = rf"_x\d+(\.\d+)?|_\d+x\d+|_({'|'.join(FRAMES)})"
"""What `TargetSize.suffix` adds to a name."""


def find_requests(
    names: Iterable[str],
    target: str | Path | None = None,
    *,
    recursive: bool = False,
    **options: Any,
) -> tuple[list[Request], list[Path]]:
    """A request for each picture and film behind names, folders and globs; and what is left out.

    Files of folders and globs that are results of earlier runs are left out; given by its own name,
    without what it was made of, each is an input like any other. `options` are those of `Request`.
    Raises `UsageError`, and `InputError` for a glob that matches nothing.
    """
    request = Request(source=STDIO, target=target, **options)
    leave_out = None if target in (None, STDIO) else Path(str(target))
    found = find_inputs(names, recursive=recursive, leave_out=leave_out)
    single = len(found) == 1 and found[0].named
    if not single and leave_out is not None and _looks_like_file(leave_out):
        raise UsageError(
            f"{option('target', target)}: want a folder for several inputs, got the name of a file"
        )
    if target == STDIO and len(found) != 1:
        raise UsageError(f"{option('target', '-')}: want a single input")
    kept = without_results(found, request.suffix)
    requests = [
        request.model_copy(
            update={
                "source": str(item.path),
                "relative": None if single else str(item.relative),
            }
        )
        for item in kept
    ]
    if single:
        for alone in requests:
            alone.refuse_useless()
    left_out = {item.path for item in found} - {item.path for item in kept}
    return requests, sorted(left_out)


def useless_for_all(requests: Iterable[Request]) -> list[str]:
    """Options that are set and, by the names of the inputs, matter to none of them."""
    lists = [_useless(request) for request in requests if request.relative is not None]
    return [name for name in lists[0] if all(name in others for others in lists)] if lists else []


def _useless(request: Request) -> list[str]:
    form = FORMATS.get(request.ext) or format_of_suffix(Path(request.name))
    plain = form is not None and form.quality is None
    quality = ["quality"] if request.quality is not None and plain else []
    return [*request.useless(), *quality]


def _looks_like_file(path: Path) -> bool:
    return not is_folder(path) and (has_picture_suffix(path) or has_film_suffix(path))


def find_inputs(
    texts: Iterable[str], *, recursive: bool = False, leave_out: Path | None = None
) -> list[Found]:
    """Films (by suffix) and pictures (by suffix or first bytes) behind names, folders and globs.

    The rules are those of `files.paths.find_inputs`.
    """
    return find_files(texts, is_wanted=_is_wanted, recursive=recursive, leave_out=leave_out)


def _is_wanted(path: Path) -> bool:
    return has_film_suffix(path) or has_picture_suffix(path) or looks_like_picture(path)


def without_results(found: Iterable[Found], suffix: str | None = None) -> list[Found]:
    """Leave out files of folders and globs that an earlier run has made.

    They say so themselves (`jobs.records`), or are called like a result of another that is there:
    `a_x4.png` or `a_1080p.png` beside `a.jpg`, or with the `suffix` of this run. Named ones are left
    out where they say so and what their name begins with is named too: a shell did that to `*.png`.
    """
    items = list(found)
    stems = {item.path.with_suffix("") for item in items}
    ending = re.compile(rf"({_ADDED}{'|' + re.escape(suffix) if suffix else ''})(_preview)?$")

    def is_result(item: Found) -> bool:
        path = item.path
        if format_of_suffix(path) is None and path.suffix.lower() not in FILM_FORMATS:
            return False
        if item.named:
            begins = {path.parent / path.stem[:end] for end in range(1, len(path.stem))}
            beside = not begins.isdisjoint(stems)
            return beside and read_record(path) is not None
        begin = ending.sub("", path.stem)
        called = begin not in ("", path.stem) and path.parent / begin in stems
        return called or read_record(path) is not None

    return [item for item in items if not is_result(item)]


__all__ = ["find_inputs", "find_requests", "useless_for_all", "without_results"]
