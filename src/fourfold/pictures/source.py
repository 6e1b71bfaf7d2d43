"""A picture file, described from its header: nothing is decoded until somebody asks for pixels."""

from __future__ import annotations

import io
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

from fourfold.errors import InputError
from fourfold.imaging.turns import Turn
from fourfold.pictures.colour import ColourPlan, plan_colour
from fourfold.pictures.decoders import CHANNELS, Decoder, find_decoder
from fourfold.pictures.formats import LOADERS, starts_like_picture
from fourfold.pictures.marks import Marks, read_marks
from fourfold.pictures.metadata import read_exif, read_iptc
from fourfold.pictures.tiff import only_first_is_full
from fourfold.pictures.vips import PROFILE, get, kind, reason, vips, with_fields

logger = logging.getLogger(__name__)

_MANY_FRAMES: Final = ("gif", "webp", "tiff")
_MAX_PAGES: Final = 10_000

_TURNS: Final = ((0, False), (0, True), (2, False), (2, True), (3, True), (3, False), (1, True))
_ORIENTATIONS: Final[Mapping[int, Turn]] = {
    number: Turn(*turn) for number, turn in enumerate((*_TURNS, (1, False)), 1)
}
"""EXIF orientation -> the turn that shows the stored pixels upright (EXIF 2.32, tag 0x0112)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What a picture file says about itself."""

    path: Path
    format: str
    """`png`, `jpg`, `webp`, `tiff`, `avif`, `gif`, or a format that is only read."""
    stored_width: int
    stored_height: int
    """Of one page as stored, before orientation."""
    pages: int
    """Of one size and kind, read together as one tall picture."""
    channels: int
    """What the network path gets: 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha."""
    depth: int
    """8, 16, or 32 for float and for integers other than unsigned 8 and 16 bits."""
    turn: Turn
    """From stored to shown."""
    colour: ColourPlan
    header: Any
    """The libvips image the fields to keep are copied from."""
    decoder: Decoder | None
    content: bytes | None
    """The file's bytes when it came by standard input."""
    page: int = 0
    """First page this describes."""
    sheets: int = 1
    """Pages of a TIFF whose pages differ; each is then opened by its number."""
    spare: bool = False
    """The last channel of the file means nothing and is left out."""
    marks: Marks
    """What only the bytes of the file say."""
    has_resolution: bool = True
    """False when the file says nothing of the size of a pixel."""
    notes: tuple[str, ...]

    @property
    def alpha(self) -> bool:
        """Whether the last channel is transparency."""
        return self.channels in (2, 4)

    @property
    def width(self) -> int:
        """As shown, in pixels."""
        return self.stored_height if self.turn.quarters % 2 else self.stored_width

    @property
    def height(self) -> int:
        """One page, as shown, in pixels."""
        return self.stored_width if self.turn.quarters % 2 else self.stored_height


@contextmanager
def open_source(
    path: Path, content: bytes | None = None, *, page: int | None = None
) -> Iterator[Source]:
    """Describe the picture at `path`, or in `content` (then `path` only names it).

    All pages are described together where they are alike; `page` asks for a single one.

    Raises `InputError`, naming the file, for what is missing, empty, no picture, of a kind that is
    not handled, or broken in its header.
    """
    if content is not None and not content:
        raise InputError(f"{path}: is empty (0 bytes)")
    with io.BytesIO(content) if content is not None else regular_file(path) as file:
        source = _describe(path, file, content, page)
        logger.debug(
            "read %s: %s, %dx%d, %d channels of %d bits, %d pages",
            path,
            source.format,
            source.width,
            source.height,
            source.channels,
            source.depth,
            max(source.pages, source.sheets),
        )
        yield source


def _describe(path: Path, file: BinaryIO, content: bytes | None, page: int | None) -> Source:
    _refuse_drawings(path, file)
    found = _find(path, file, content, page)
    if isinstance(found, Decoder):
        # HEIC has the marks of AVIF: both are HEIF.
        marks = read_marks(file, {"heic": "avif"}.get(found.name, found.name))
        source = _from_header(path, _header(found), found.name, marks, found.notes)
        width, height = found.size
        return replace(
            source, stored_width=width, stored_height=height, decoder=found, content=content
        )
    image, form = found, LOADERS[_loader(found)]
    marks, notes = read_marks(file, form, page or 0), tuple[str, ...]()
    if marks.early:
        raise InputError(f"{path}: not a readable picture (its data ends early)")
    declared = get(image, "n-pages", 1)
    pages, sheets = _count_pages(path, image, form, content, file) if page is None else (1, 1)
    if pages == sheets == 1 and page is None and declared > 1:
        notes = (f"{declared - 1} smaller or hidden pictures in it are left out",)
    if form == "tiff" and not page:
        exif = None if get(image, "exif-data") else read_exif(file)
        image = with_fields(image, {"exif-data": exif, "iptc-data": read_iptc(file)})
    if get(image, "n-subifds"):
        notes = (*notes, f"pictures within its pictures are left out: {image.get('n-subifds')}")
    source = _from_header(path, image, form, marks, notes)
    return replace(source, content=content, pages=pages, sheets=sheets, page=page or 0)


def _find(path: Path, file: BinaryIO, content: bytes | None, page: int | None) -> Any:
    """The header by libvips, or the `Decoder` for what it does not know."""
    try:
        image = open_image(path, content, **({} if page is None else {"page": page}))
        loader = _loader(image)
        if loader == "heifload" and get(image, "heif-compression", "av1") != "av1":
            return find_decoder(file, path=path) or image
    except vips().Error as error:
        decoder = find_decoder(file, path=path)
        if decoder is not None:
            return decoder
        file.seek(0)
        known = starts_like_picture(file.read(16))
        why = reason(error) if known else "its content is no picture format known here"
        raise InputError(f"{path}: not a readable picture ({why})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    if loader not in LOADERS:
        raise InputError(f"{path}: not a picture ({loader} is not accepted)")
    return image


def _loader(image: Any) -> str:
    return str(image.get("vips-loader")).removesuffix("_source").removesuffix("_buffer")


def _count_pages(
    path: Path, image: Any, form: str, content: bytes | None, file: BinaryIO
) -> tuple[int, int]:
    """(pages read together, pages read one by one); one of them is 1."""
    count = int(get(image, "n-pages", 1))
    if count > _MAX_PAGES:
        raise InputError(f"{path}: {count} pages; want at most {_MAX_PAGES}")
    if count == 1 or form not in _MANY_FRAMES:
        return 1, 1
    try:
        together = open_image(path, content, n=-1)
        if together.width == image.width and together.height == image.height * count:
            return count, 1
    except vips().Error:
        if form != "tiff":
            raise
    return (1, 1) if only_first_is_full(file, count) else (1, count)


def regular_file(path: Path) -> BinaryIO:
    """`path` opened for reading; `InputError` for what is no regular, readable, filled file.

    Pipes and devices are refused without being opened: opening one can wait for ever.
    """
    try:
        if not path.exists():
            hint = "a link that leads nowhere" if path.is_symlink() else "no such file"
            raise InputError(f"{path}: {hint}")
        if path.is_dir():
            os.scandir(path).close()
            raise InputError(f"{path}: is a folder, want a picture")
        if not path.is_file():
            raise InputError(f"{path}: is a pipe or device; want a regular file (or - for stdin)")
        if path.stat().st_size == 0:
            raise InputError(f"{path}: is empty (0 bytes)")
        return path.open("rb")
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{str(path)!r}: not a usable file name") from error


def open_image(path: Path, content: bytes | None, **options: Any) -> Any:
    """A libvips image of a file or of bytes, decoded in order when pixels are asked for.

    The file is given by descriptor, since libvips would take brackets in a name for options.
    """
    options = {"access": "sequential", "fail_on": "error", **options}
    if content is not None:
        return vips().Image.new_from_buffer(content, "", **options)
    with regular_file(path) as file:
        source = vips().Source.new_from_descriptor(file.fileno())
    return vips().Image.new_from_source(source, "", **options)


def _refuse_drawings(path: Path, file: BinaryIO) -> None:
    head = file.read(1024)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"%PDF") or text.startswith((b"<svg", b"<?xml")) or b"<svg" in text:
        raise InputError(
            f"{path}: a vector drawing (SVG, PDF) has no pixels to enlarge; render it at the size "
            "you want"
        )


def _from_header(path: Path, image: Any, form: str, marks: Marks, notes: tuple[str, ...]) -> Source:
    """The first page as one picture."""
    extra = bool(image.hasalpha())
    colours = image.bands - extra
    if colours not in ((4,) if image.interpretation == "cmyk" else (1, 3)):
        raise InputError(f"{path}: {image.bands} channels; want grey, RGB or CMYK, and alpha")
    if image.format in ("complex", "dpcomplex"):
        raise InputError(f"{path}: complex numbers; want integers or floats")
    image = with_fields(image, {PROFILE: get(image, PROFILE) or marks.profile})
    colour = plan_colour(image.interpretation, colours, get(image, PROFILE))
    depth = {"uchar": 8, "ushort": 16}.get(image.format, 32)
    if colour.how in ("space", "srgb_icc"):
        depth = 16 if get(image, "bits-per-sample", 8) > 8 else 8
    spare = extra and marks.spare
    left_out = ("a channel of no stated meaning is left out",) if spare else ()
    return Source(
        path=path,
        format=form,
        stored_width=image.width,
        stored_height=image.height,
        pages=1,
        channels=(1 if colours == 1 else 3) + (extra and not spare),
        depth=depth,
        turn=_ORIENTATIONS.get(get(image, "orientation", 1), _ORIENTATIONS[1]),
        colour=colour,
        header=image,
        decoder=None,
        content=None,
        spare=spare,
        marks=marks,
        has_resolution=marks.resolution or bool(image.get_typeof("resolution-unit")),
        notes=(*marks.notes, *notes, *left_out, *((colour.note,) if colour.note else ())),
    )


def _header(decoder: Decoder) -> Any:
    """What Pillow and others read has no libvips header; one of a single pixel stands for it."""
    bands, form = CHANNELS[decoder.mode], "ushort" if decoder.depth > 8 else "uchar"
    shown = "cmyk" if decoder.mode == "CMYK" else kind(bands, form)
    scale = (decoder.dpi or 25.4) / 25.4
    header = vips().Image.black(1, 1, bands=bands).cast(form)
    header = header.copy(interpretation=shown, xres=scale, yres=scale)
    unit = "in" if decoder.dpi else None
    depth = {"resolution-unit": unit, "bits-per-sample": decoder.depth}
    return with_fields(header, {**decoder.fields, **depth})


@contextmanager
def source_image(source: Source) -> Iterator[Any]:
    """All pages below each other as a libvips image in the file's own numbers.

    Raises `InputError` when they differ in size or the decoder gives up.
    """
    if source.decoder is not None:
        pixels = vips().Image.new_from_array(source.decoder.decode())
        yield pixels.copy(interpretation=source.header.interpretation)
        return
    options: dict[str, Any] = {"n": source.pages} if source.pages > 1 else {}
    if source.page:
        options["page"] = source.page
    if get(source.header, "tile-width"):
        options["fail_on"] = "warning"  # libvips leaves broken tiles black else
    try:
        image = open_image(source.path, source.content, **options)
        yield image.extract_band(0, n=image.bands - 1) if source.spare else image
    except vips().Error as error:
        raise InputError(f"{source.path}: not a readable picture ({reason(error)})") from error


__all__ = ["Source", "open_source", "source_image"]
