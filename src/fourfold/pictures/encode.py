"""From enlarged pixels to a file: profile, depth, metadata, format."""

from __future__ import annotations

import errno
import logging
import os
import re
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from fourfold.errors import OutputError
from fourfold.pictures.colour import from_network
from fourfold.pictures.formats import NOT_HELD, Format
from fourfold.pictures.metadata import add_metadata, enlarged_exif, upright_xmp
from fourfold.pictures.png import Chunk, PngStream
from fourfold.pictures.source import Source
from fourfold.pictures.store import PixelStore
from fourfold.pictures.vips import PROFILE, get, kind, reason, stoppable, vips, with_fields

logger = logging.getLogger(__name__)

_OWN_FIELDS: Final = re.compile(
    r"width|height|bands|format|coding|interpretation|xoffset|yoffset|xres|yres|filename|"
    r"vips-.*|n-pages|page-height|bits-per-sample|palette.*|interlaced|jpeg-.*|heif-.*|"
    r"png-comment-.*|background|n-subifds|orientation|concurrency|exif-ifd0-Orientation|exif-ifd1-.*|"
    r"exif-ifd0-[XY]Resolution|exif-ifd2-Pixel[XY]Dimension|gif-palette|default-page|history|gainmap-scale-factor"
)
"""Header fields that describe the stored pixels, not the picture: the result has its own. The
thumbnail of EXIF (IFD 1) shows the small picture and would be stale."""

_NO_RESOLUTION: Final = 72 / 25.4
"""Pixels per mm to write where some number must stand."""

_EVERYTHING: Final = 63
_EXIF: Final = 1

_FULL: Final = 1_000_000
"""Free bytes below which a failed write is for want of room; libvips seldom says so."""

_BIG_TIFF: Final = 3_500_000_000
_GAIN_MAP_SIDE: Final = 8192
"""Largest side libultrahdr writes."""
_PEAKS: Final = {"uchar": 255, "ushort": 65535, "float": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Enlarged pixels with what is needed to write them."""

    store: PixelStore
    """All pages one below the other, upright, each `page_height` high."""
    page_height: int
    grey: bool
    """The store holds one colour channel of a picture that has three equal ones."""
    value_range: tuple[float, float]
    factor: float
    """Enlargement, for the resolution."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What a writer is told besides the pixels and their fields."""

    quality: int | None
    """None: the default, or lossless for WebP."""
    notes: list[str] = field(default_factory=list)
    """Writers add to it."""
    exif: bool = True
    """False: write none; libvips would make one up."""
    resolution: bool = True
    texts: tuple[Chunk, ...] = ()
    """For PNG, as stored."""

    @property
    def keep(self) -> int:
        """libvips's flags of what to write."""
        return _EVERYTHING if self.exif else _EVERYTHING - _EXIF


def encode(
    result: Result,
    source: Source,
    part: Path,
    form: Format,
    *,
    quality: int | None = None,
    stop: threading.Event | None = None,
) -> tuple[str, ...]:
    """Write `result` to the file `part` as `form`, with the metadata of `source`.

    Returns notes on what the format could not hold. Raises `OutputError`; `InterruptedError` when
    `stop` is set meanwhile.
    """
    image, notes = _own_colours(result, source), list[str]()
    image = _own_depth(image, result, source, form, notes)
    if source.alpha and not form.alpha:
        image = image.flatten(background=[float(_PEAKS[image.format])] * (image.bands - 1))
        notes.append(f"{form.name} has no transparency; shown on white")
    notes += _left_out(source, form)
    image = _with_fields(image, result, source)
    exact = source.marks.lossless and form.name == source.format
    saving = Saving(
        quality=quality or (None if exact else form.quality),
        notes=notes,
        # Only EXIF carries a resolution in these.
        exif=bool(get(source.header, "exif-data"))
        or (source.has_resolution and form.name != "png"),
        resolution=source.has_resolution,
        texts=source.marks.texts,
    )
    logger.debug("%s: written as %s, quality %s", source.path, form.name, saving.quality)
    try:
        with stoppable(image, stop):
            SAVERS[form.name](image, os.fsencode(part), saving)
    except vips().Error as error:
        if stop is not None and stop.is_set():
            raise InterruptedError from error
        full = shutil.disk_usage(part.parent).free < _FULL
        why = os.strerror(errno.ENOSPC) if full else reason(error)
        raise OutputError(f"cannot write {form.name} ({why})") from error
    return tuple(notes)


def _left_out(source: Source, form: Format) -> Iterator[str]:
    """What the header holds and `form` does not."""
    for name, called in NOT_HELD.get(form.name, {}).items():
        if source.header.get_typeof(name):
            yield f"{form.name} holds no {called}"
    if form.name == "tiff" and source.pages > 1 and source.header.get_typeof("delay"):
        yield "tiff holds no timing of frames"


def _own_colours(result: Result, source: Source) -> Any:
    """Three channels again where they were three, in the file's own profile."""
    image = result.store.as_vips()
    if result.grey:
        image = image[0].bandjoin([image[0], *image.bandsplit()])
    colours = image.bands - source.alpha
    image = image.copy(interpretation=kind(colours, image.format))
    return from_network(image, source.colour, alpha=source.alpha)


def _own_depth(image: Any, result: Result, source: Source, form: Format, notes: list[str]) -> Any:
    low, high = result.value_range
    if source.depth == 32 and 32 in form.depths:
        image = image if (low, high) == (0.0, 1.0) else image.linear(high - low, low)
        kept = source.header.format
        return image if kept in ("float", "double") else image.rint().cast(kept)
    wide = source.depth > 8 and 16 in form.depths
    held = 12 if form.name == "avif" else 16
    if source.depth > 8 and not wide:
        notes.append(f"{source.depth} bits per channel became 8: {form.name} holds no more")
    elif wide and (source.depth == 32 or get(source.header, "bits-per-sample", 16) > held):
        notes.append(f"numbers became {held} bits: {form.name} holds no more")
    target = "ushort" if wide else "uchar"
    if image.format != target:
        image = image.linear(_PEAKS[target] / _PEAKS[image.format], 0).rint().cast(target)
    return image.copy(interpretation=kind(image.bands - source.alpha, target))


def _with_fields(image: Any, result: Result, source: Source) -> Any:
    """The fields of the source, the resolution times the enlargement, orientation upright."""
    header = source.header
    across = down = _NO_RESOLUTION
    if source.has_resolution:  # pixels per mm, as shown
        sizes = (header.xres * result.factor, header.yres * result.factor)
        across, down = sizes[::-1] if source.turn.quarters % 2 else sizes
    image = image.copy(xres=across, yres=down)
    ratio = "gainmap-scale-factor"  # how much smaller the gain map is
    changes: Mapping[str, Callable[[Any], Any]] = {
        "xmp-data": lambda value: upright_xmp(bytes(value)),
        "exif-data": lambda value: enlarged_exif(bytes(value), result.factor),
        ratio: lambda value: type(value)(value * result.factor),
    }
    for name in header.get_fields():
        if name == ratio or not _OWN_FIELDS.fullmatch(name):
            value = changes.get(name, lambda value: value)(header.get(name))
            image.set_type(header.get_typeof(name), name, value)
    if not source.colour.keeps_profile:
        image.remove(PROFILE)
    return with_fields(
        image,
        {
            "orientation": 1 if header.get_typeof("orientation") else None,
            "page-height": result.page_height if source.pages > 1 else None,
        },
    )


# Deflate at level 3 and JPEG without optimised tables: 3 to 4 times as fast as the defaults for
# files a few per cent larger (`benchmarks/pictures.py --encoders`).
def _save_png(image: Any, name: bytes, saving: Saving) -> None:
    with Path(os.fsdecode(name)).open("wb") as file:
        stream = PngStream(file, texts=saving.texts, resolution=saving.resolution)
        target = vips().TargetCustom()
        target.on_write(stream.write)
        try:
            image.pngsave_target(target, compression=3, filter="up", keep=saving.keep)
        except vips().Error:
            if stream.error is not None:
                raise stream.error from None
            raise


def _save_jpg(image: Any, name: bytes, saving: Saving) -> None:
    if image.get_typeof("gainmap-data"):
        if max(image.width, image.height) <= _GAIN_MAP_SIDE and image.bands == 3:
            image.uhdrsave(name, Q=saving.quality)
            return
        left_out = f"its gain map (HDR) is left out: the result is over {_GAIN_MAP_SIDE} pixels"
        saving.notes.append(left_out)
        image.remove("gainmap-data")
    image.jpegsave(name, Q=saving.quality, subsample_mode="off", keep=saving.keep)


def _save_webp(image: Any, name: bytes, saving: Saving) -> None:
    lossy = {"Q": saving.quality, "alpha_q": 100}
    options = {"lossless": True, "effort": 2} if saving.quality is None else lossy
    image.webpsave(name, **options, keep=saving.keep)


def _save_tiff(image: Any, name: bytes, _saving: Saving) -> None:
    item = {"uchar": 1, "ushort": 2, "char": 1, "short": 2, "double": 8}.get(image.format, 4)
    image.tiffsave(
        name,
        compression="deflate",
        level=3,
        predictor="horizontal" if item <= 2 else "none",
        bigtiff=image.width * image.height * image.bands * item > _BIG_TIFF,
        page_height=get(image, "page-height", 0),
    )
    add_metadata(image, name)


def _save_avif(image: Any, name: bytes, saving: Saving) -> None:
    bits = 12 if image.format == "ushort" else 8
    options = {"compression": "av1", "bitdepth": bits, "subsample_mode": "off", "effort": 2}
    image.heifsave(name, Q=saving.quality, keep=saving.keep, **options)


def _save_gif(image: Any, name: bytes, saving: Saving) -> None:
    saving.notes.append("gif holds 256 colours a frame; colours are dithered")
    image.gifsave(name, dither=1.0, effort=7)


SAVERS: Final[Mapping[str, Callable[[Any, bytes, Saving], None]]] = {
    "png": _save_png,
    "jpg": _save_jpg,
    "webp": _save_webp,
    "tiff": _save_tiff,
    "avif": _save_avif,
    "gif": _save_gif,
}

__all__ = ["SAVERS", "Result", "Saving", "encode"]
