"""What a result is called, which format it gets, and which files are results already."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from fourfold.errors import InputError, OutputError, UsageError
from fourfold.files.paths import STDIO, Found
from fourfold.jobs.size import TargetSize
from fourfold.pictures.formats import EXTENSIONS, FORMATS, Format, format_of_suffix
from fourfold.pictures.source import Source

_ENCODER_SHARE: Final = 0.6
"""Part of `max_memory` an encoder that needs the whole picture may take."""

_FALLBACKS: Final = ("png", "webp", "tiff")
"""What `auto` tries, in this order, where the input's own format cannot hold the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """Size, format and name of the results."""

    size: TargetSize = field(default_factory=TargetSize)
    ext: str = "auto"
    """`auto` keeps the input's format where it can hold the result, else PNG (WebP or TIFF for
    several frames or pages, TIFF for floats)."""
    quality: int | None = None
    """1 to 100 for JPEG, WebP and AVIF; None for a default of the format."""
    suffix: str | None = None
    """Added to the name; None for `_x4` and the like."""
    overwrite: bool = False
    max_pixels: int = 500_000_000
    """Largest result, in pixels of all frames; larger ones are refused before decoding."""

    def __post_init__(self) -> None:
        ext = {"jpeg": "jpg", "tif": "tiff"}.get(self.ext, self.ext)
        object.__setattr__(self, "ext", ext)
        if ext not in EXTENSIONS:
            raise UsageError(f"--ext: want {', '.join(EXTENSIONS)}, got {self.ext!r}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality: want 1 to 100, got {self.quality}")
        if self.max_pixels < 1:
            raise UsageError(f"--max-pixels: want at least 1, got {self.max_pixels}")
        if self.suffix is not None and ("/" in self.suffix or "\\" in self.suffix):
            raise UsageError(f"--suffix: want a part of a file name, got {self.suffix!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One result to be made."""

    path: Path | None
    """None: standard output."""
    form: Format
    width: int
    height: int
    """Of one page."""
    notes: tuple[str, ...]


def plan_target(
    source: Source,
    found: Found,
    out: str | None,
    *,
    network_scale: int,
    settings: OutputSettings,
    max_memory: int,
    single: bool,
) -> Target:
    """Name, format and size of the result of `source`, from its header alone.

    Raises `InputError` for a result beyond `max_pixels`, `OutputError` for one the asked format
    cannot hold, `UsageError` for an output name of no known format.
    """
    width, height = settings.size.of(source.width, source.height, network_scale)
    check_pixels(source, settings, network_scale)
    named = _named_file(out, single)
    asked = format_of_suffix(named) if named is not None else FORMATS.get(settings.ext)
    room = int(max_memory * _ENCODER_SHARE)
    if asked is not None:
        problem = _problem(asked, source, width, height, room)
        if problem:
            raise OutputError(f"{source.path}: {problem}; choose another --ext")
        form, notes = asked, source.notes
    else:
        form, notes = _auto(source, width, height, room)
    path = named
    if path is None and out != STDIO:
        added = _added(settings, network_scale)
        path = _path(found, out, form, added)
    return Target(path=path, form=form, width=width, height=height, notes=notes)


def check_pixels(source: Source, settings: OutputSettings, network_scale: int) -> int:
    """Pixels of the result, all pages; `InputError` when more than `max_pixels`."""
    width, height = settings.size.of(source.width, source.height, network_scale)
    network_pixels = source.width * source.height * network_scale**2
    pages = max(source.pages, source.sheets)
    pixels = max(width * height, network_pixels) * pages
    if pixels > settings.max_pixels:
        frames = f" in {pages} pages" if pages > 1 else ""
        raise InputError(
            f"{source.path}: {source.width}x{source.height}{frames} makes {pixels} pixels, more "
            f"than --max-pixels {settings.max_pixels}"
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
        return f"{form.name} needs about {need >> 20} MB at once, more than --max-memory gives"
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


def _named_file(out: str | None, single: bool) -> Path | None:
    """`-o` as a file: a single input, not a folder, a suffix."""
    if out is None or out == STDIO or not single or Path(out).is_dir() or not Path(out).suffix:
        return None
    if format_of_suffix(Path(out)) is None:
        suffixes = sorted(s for form in FORMATS.values() for s in form.suffixes)
        raise UsageError(f"-o {out}: want one of {', '.join(suffixes)}, or a folder")
    return Path(out)


def _path(found: Found, out: str | None, form: Format, added: str) -> Path:
    if str(found.path) == STDIO:
        return Path(out or ".") / f"stdin{added}{form.suffixes[0]}"
    # The input's own spelling (.JPG, .jpeg) stays where it names the format.
    own = found.path.suffix
    ext = own if own.lower() in form.suffixes else form.suffixes[0]
    name = f"{found.path.stem}{added}{ext}"
    return found.path.with_name(name) if out is None else Path(out) / found.relative.with_name(name)


def _added(settings: OutputSettings, network_scale: int) -> str:
    if settings.suffix is not None:
        return settings.suffix
    return settings.size.suffix(network_scale)


def without_results(
    found: Iterable[Found], settings: OutputSettings, network_scale: int
) -> list[Found]:
    """Leave out files of a folder that are results of others in it, of an earlier run.

    `a_x4.png` beside `a.jpg` is one; given by its own name it is an input like any other.
    """
    items = list(found)
    added = _added(settings, network_scale)
    if not added:
        return items
    stems = {item.path.with_suffix("") for item in items}

    def is_result(item: Found) -> bool:
        stem = item.path.stem
        if item.named or not stem.endswith(added) or format_of_suffix(item.path) is None:
            return False
        return item.path.with_name(stem.removesuffix(added) or stem) in stems

    return [item for item in items if not is_result(item)]


__all__ = ["OutputSettings", "Target", "check_pixels", "plan_target", "without_results"]
