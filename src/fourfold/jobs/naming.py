"""What a result is called and which format it gets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fourfold.errors import InputError, OutputError, UsageError, option
from fourfold.files.paths import STDIO, is_folder
from fourfold.jobs.request import Request
from fourfold.pictures.formats import FORMATS, Format, format_of_suffix
from fourfold.pictures.source import Source

_ENCODER_SHARE: Final = 0.6
"""Part of `max_memory` an encoder that needs the whole picture may take."""

_FALLBACKS: Final = ("png", "webp", "tiff")
"""What `auto` tries, in this order, where the input's own format cannot hold the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One result to be made."""

    path: Path | None
    """None: standard output, or bytes."""
    form: Format
    width: int
    height: int
    """Of one page."""
    notes: tuple[str, ...]


def plan_target(source: Source, request: Request, *, network_scale: int, memory: int) -> Target:
    """Name, format and size of the result of `source`, from its header alone.

    `memory` is what the process should stay under, in bytes. Raises `InputError` for a result
    beyond `max_pixels`, `OutputError` for one the asked format cannot hold, `UsageError` for an
    output name of no known format and for options that cannot matter.
    """
    width, height = request.size.of(source.width, source.height, network_scale)
    check_pixels(source, request, network_scale)
    named = _named_file(request)
    asked = format_of_suffix(named) if named is not None else FORMATS.get(request.ext)
    room = int(memory * _ENCODER_SHARE)
    if asked is not None:
        problem = _problem(asked, source, width, height, room)
        if problem:
            raise OutputError(f"{source.path}: {problem}; choose another {option('ext')}")
        form, notes = asked, source.notes
    else:
        form, notes = _auto(source, width, height, room)
    if request.quality is not None and form.quality is None and request.relative is None:
        raise UsageError(
            f"{request.name}: {option('quality')}: without effect on {form.name}; leave it out, or "
            f"choose another {option('ext')}"
        )
    path = named or _path(request, form, network_scale)
    return Target(path=path, form=form, width=width, height=height, notes=notes)


def check_pixels(source: Source, request: Request, network_scale: int) -> int:
    """Pixels of the result, all pages; `InputError` when more than `max_pixels`."""
    width, height = request.size.of(source.width, source.height, network_scale)
    network_pixels = source.width * source.height * network_scale**2
    pages = max(source.pages, source.sheets)
    pixels = max(width * height, network_pixels) * pages
    if pixels > request.max_pixels:
        frames = f" in {pages} pages" if pages > 1 else ""
        raise InputError(
            f"{source.path}: {source.width}x{source.height}{frames} makes {pixels} pixels, more "
            f"than {option('max_pixels', request.max_pixels)}"
        )
    return pixels


def _problem(form: Format, source: Source, width: int, height: int, room: int) -> str | None:
    """Why a result cannot be written as `form` at all."""
    if max(width, height) > form.largest_side:
        return f"{width}x{height} is over the {form.largest_side} pixels a side {form.name} holds"
    pages = max(source.pages, source.sheets)
    if pages > 1 and not form.frames:
        return f"{form.name} holds one picture, this one has {pages} frames or pages"
    if source.sheets > 1 and form.name != "tiff":
        return f"{form.name} holds frames of one size, the pages of this one differ"
    need = width * height * form.encoder_bytes * (3 if source.depth > 8 else 2) // 2
    if need > room:
        return (
            f"{form.name} needs about {need >> 20} MB at once, "
            f"more than {option('max_memory')} gives"
        )
    return None


def _auto(source: Source, width: int, height: int, room: int) -> tuple[Format, tuple[str, ...]]:
    own = FORMATS.get(source.format)
    if own is not None:
        problem = _problem(own, source, width, height, room)
        if own.name == "gif" and source.pages == 1:
            problem = "gif holds 256 colours"
        if problem is None and source.depth in own.depths:
            return own, source.notes
        problem = problem or f"{own.name} holds no {source.depth} bits"
    else:
        problem = f"{source.format} is only read"
    names = ("tiff",) if source.depth == 32 else _FALLBACKS
    for name in names:
        form = FORMATS[name]
        if source.depth in form.depths and _problem(form, source, width, height, room) is None:
            return form, (*source.notes, f"written as {name}: {problem}")
    raise OutputError(f"{source.path}: no format holds the result ({problem})")


def named_file(request: Request) -> Path | None:
    """The target as a file: not a folder, and with a suffix."""
    target = request.target
    if target is None or request.relative is not None:
        return None
    path = Path(target)
    named = path.suffix and not str(target).endswith(("/", os.sep)) and not is_folder(path)
    if target != STDIO and not named:
        return None
    if request.suffix is not None:
        raise UsageError(
            f"{option('target', target)} is the whole name; leave {option('suffix')} out"
        )
    return None if target == STDIO else path


def _named_file(request: Request) -> Path | None:
    path = named_file(request)
    if path is None:
        return None
    form = format_of_suffix(path)
    if form is None:
        suffixes = sorted(s for form in FORMATS.values() for s in form.suffixes)
        raise UsageError(
            f"{option('target', request.target)}: want one of {', '.join(suffixes)}, or a folder"
        )
    if request.ext not in ("auto", form.name):
        raise UsageError(
            f"{option('target', request.target)} is written as {form.name}; "
            f"leave {option('ext', request.ext)} out"
        )
    return path


def _path(request: Request, form: Format, network_scale: int) -> Path | None:
    """Beside the source or in the folder that is the target; None for what becomes no file."""
    if request.target == STDIO or (request.target is None and isinstance(request.source, bytes)):
        return None
    # The input's own spelling (.JPG, .jpeg) stays where it names the format.
    source = request.path or Path("stdin" if request.source == STDIO else "bytes")
    own = source.suffix
    ext = own if own.lower() in form.suffixes else form.suffixes[0]
    return placed(request, f"{source.stem}{added(request, network_scale)}{ext}")


def placed(request: Request, name: str) -> Path:
    """The result called `name`, in the folder `target`, or beside the source."""
    if request.target is not None:
        return Path(request.target) / Path(request.relative or name).with_name(name)
    return Path(name) if request.path is None else request.path.with_name(name)


def added(request: Request, network_scale: int) -> str:
    """What is added to the name."""
    return request.size.suffix(network_scale) if request.suffix is None else request.suffix


__all__ = ["Target", "added", "check_pixels", "named_file", "placed", "plan_target"]
