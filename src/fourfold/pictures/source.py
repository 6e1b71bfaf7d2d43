"""A picture file, described from its header: nothing is decoded until somebody asks for pixels."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from fourfold.errors import InputError
from fourfold.imaging.turns import Turn
from fourfold.pictures.colour import ColourPlan, plan_colour, with_profile
from fourfold.pictures.damage import frames_end_early, tiles_end_early
from fourfold.pictures.decoders import Decoder, find_decoder, regular_file
from fourfold.pictures.formats import starts_like_picture
from fourfold.pictures.marks import Marks, read_marks
from fourfold.pictures.png import Chunk
from fourfold.pictures.tiff import only_first_is_full
from fourfold.pictures.tiff_metadata import with_metadata
from fourfold.pictures.vips import reason, vips

logger = logging.getLogger(__name__)

LOADERS: Final[Mapping[str, str]] = {
    "jpegload": "jpg",
    "uhdrload": "jpg",
    "pngload": "png",
    "webpload": "webp",
    "gifload": "gif",
    "tiffload": "tiff",
    "heifload": "avif",
    "jp2kload": "jp2",
    "jxlload": "jxl",
}
"""Decoders of libvips that are trusted with files of strangers, and what we call their formats."""

_MANY_FRAMES: Final = ("gif", "webp", "tiff")
MAX_PAGES: Final = 10_000

ORIENTATIONS: Final[Mapping[int, Turn]] = {
    1: Turn(0, False),
    2: Turn(0, True),
    3: Turn(2, False),
    4: Turn(2, True),
    5: Turn(3, True),
    6: Turn(3, False),
    7: Turn(1, True),
    8: Turn(1, False),
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
    orientation: int
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
    lossless: bool = False
    """A WebP that holds its pixels exactly."""
    has_resolution: bool = True
    """False when the file says nothing of the size of a pixel."""
    texts: tuple[Chunk, ...] = ()
    """Text chunks of a PNG, as stored."""
    notes: tuple[str, ...]

    @property
    def alpha(self) -> bool:
        """Whether the last channel is transparency."""
        return self.channels in (2, 4)

    @property
    def turn(self) -> Turn:
        """From stored to shown."""
        return ORIENTATIONS[self.orientation]

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
    if content is not None:
        if not content:
            raise InputError(f"{path}: is empty (0 bytes)")
        import io

        with io.BytesIO(content) as file:
            yield _logged(_describe(path, file, content, page))
        return
    with regular_file(path) as file:
        yield _logged(_describe(path, file, None, page))


def _logged(source: Source) -> Source:
    logger.debug(
        "read %s: %s, %dx%d, %d channels of %d bits, %d pages",
        source.path,
        source.format,
        source.width,
        source.height,
        source.channels,
        source.depth,
        max(source.pages, source.sheets),
    )
    return source


def _describe(path: Path, file: BinaryIO, content: bytes | None, page: int | None) -> Source:
    _refuse_drawings(path, file)
    decoder = None
    try:
        image = open_image(path, content, **({} if page is None else {"page": page}))
        loader = _loader(image)
        if loader == "heifload" and _compression(image) != "av1":
            decoder = find_decoder(file, path=path)
    except vips().Error as error:
        decoder = find_decoder(file, path=path)
        if decoder is None:
            file.seek(0)
            known = starts_like_picture(file.read(16))
            why = reason(error) if known else "its content is no picture format known here"
            raise InputError(f"{path}: not a readable picture ({why})") from error
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    if decoder is not None:
        marks = read_marks(file, "avif") if decoder.name == "heic" else Marks()
        return _from_decoder(path, decoder, content, marks)
    if loader not in LOADERS:
        raise InputError(f"{path}: not a picture ({loader} is not accepted)")
    form = LOADERS[loader]
    marks = read_marks(file, form, page or 0)
    notes = marks.notes
    _refuse_damage(path, file, form)
    pages, sheets = (1, 1) if page is not None else _count_pages(path, image, form, content)
    if pages == sheets == 1 and page is None and _declared(image) > 1:
        notes = (*notes, f"{_declared(image) - 1} smaller or hidden pictures in it are left out")
    if form == "tiff" and not page:
        image = with_metadata(image, file)
    if image.get_typeof("n-subifds"):
        notes = (*notes, f"pictures within its pictures are left out: {image.get('n-subifds')}")
    source = _from_vips(path, image, form, marks, notes)
    return replace(source, content=content, pages=pages, sheets=sheets, page=page or 0)


def _declared(image: Any) -> int:
    return int(image.get("n-pages")) if image.get_typeof("n-pages") else 1


def _count_pages(path: Path, image: Any, form: str, content: bytes | None) -> tuple[int, int]:
    """(pages read together, pages read one by one); one of them is 1."""
    count = _declared(image)
    if count > MAX_PAGES:
        raise InputError(f"{path}: {count} pages; want at most {MAX_PAGES}")
    if count == 1 or form not in _MANY_FRAMES:
        return 1, 1
    try:
        together = open_image(path, content, n=-1)
        if together.width == image.width and together.height == image.height * count:
            return count, 1
    except vips().Error:
        if form != "tiff":
            raise
    if content is not None:
        return 1, count
    with regular_file(path) as file:
        reduced = only_first_is_full(file, count)
    return (1, 1) if reduced else (1, count)


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


def _loader(image: Any) -> str:
    return str(image.get("vips-loader")).removesuffix("_source").removesuffix("_buffer")


def _compression(image: Any) -> str:
    return str(image.get("heif-compression")) if image.get_typeof("heif-compression") else "av1"


def _refuse_drawings(path: Path, file: BinaryIO) -> None:
    head = file.read(1024)
    file.seek(0)
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if head.startswith(b"%PDF") or text.startswith((b"<svg", b"<?xml")) or b"<svg" in text:
        raise InputError(
            f"{path}: a vector drawing (SVG, PDF) has no pixels to enlarge; render it at the size "
            "you want"
        )


def _refuse_damage(path: Path, file: BinaryIO, form: str) -> None:
    check = {"tiff": tiles_end_early, "gif": frames_end_early}.get(form)
    if check is not None and check(file):
        raise InputError(f"{path}: not a readable picture (its data ends early)")


def _from_vips(path: Path, image: Any, form: str, marks: Marks, notes: tuple[str, ...]) -> Source:
    """The first page as one picture."""
    extra = bool(image.hasalpha())
    alpha = extra and not marks.spare
    colours = image.bands - extra
    if extra and not alpha:
        notes = (*notes, "a channel of no stated meaning is left out")
    if colours != (4 if image.interpretation == "cmyk" else colours) or colours not in (1, 3, 4):
        raise InputError(f"{path}: {image.bands} channels; want grey or colour, and alpha")
    if colours == 4 and image.interpretation != "cmyk":
        raise InputError(f"{path}: {image.bands} channels that are no CMYK; want grey or RGB")
    if marks.profile is not None and not image.get_typeof("icc-profile-data"):
        image = with_profile(image, marks.profile)
    profile = bytes(image.get("icc-profile-data")) if image.get_typeof("icc-profile-data") else None
    colour = plan_colour(image.interpretation, colours, profile)
    if image.format in ("complex", "dpcomplex"):
        raise InputError(f"{path}: complex numbers; want integers or floats")
    return Source(
        path=path,
        format=form,
        stored_width=image.width,
        stored_height=image.height,
        pages=1,
        channels=(1 if colours == 1 else 3) + alpha,
        depth=_depth(image, colour),
        orientation=_orientation(image),
        colour=colour,
        header=image,
        decoder=None,
        content=None,
        spare=extra and not alpha,
        lossless=marks.lossless,
        texts=marks.texts,
        has_resolution=marks.resolution or bool(image.get_typeof("resolution-unit")),
        notes=(*notes, colour.note) if colour.note else notes,
    )


def _depth(image: Any, colour: ColourPlan) -> int:
    if colour.how in ("space", "srgb_icc"):
        bits = int(image.get("bits-per-sample")) if image.get_typeof("bits-per-sample") else 8
        return 16 if bits > 8 else 8
    return {"uchar": 8, "ushort": 16}.get(image.format, 32)


def _orientation(image: Any) -> int:
    value = int(image.get("orientation")) if image.get_typeof("orientation") else 1
    return value if value in ORIENTATIONS else 1


def _from_decoder(path: Path, decoder: Decoder, content: bytes | None, marks: Marks) -> Source:
    """What Pillow and others read has no libvips header; one of a single pixel holds the fields."""
    header = vips().Image.black(1, 1)
    icc = decoder.icc or marks.profile
    fields = {
        "icc-profile-data": icc,
        "exif-data": decoder.exif,
        "xmp-data": decoder.xmp,
    }
    for name, value in fields.items():
        if value:
            header.set_type(vips().GValue.blob_type, name, value)
    if decoder.dpi:
        header = header.copy(xres=decoder.dpi / 25.4, yres=decoder.dpi / 25.4)
        header.set_type(vips().GValue.gstr_type, "resolution-unit", "in")
    colours = decoder.channels - decoder.alpha
    interpretation = "cmyk" if decoder.cmyk else ("b-w" if colours == 1 else "srgb")
    colour = plan_colour(interpretation, colours, icc)
    return Source(
        path=path,
        format=decoder.name,
        stored_width=decoder.width,
        stored_height=decoder.height,
        pages=1,
        channels=(1 if colours == 1 else 3) + decoder.alpha,
        depth=decoder.depth,
        orientation=1,
        colour=colour,
        header=header,
        decoder=decoder,
        content=content,
        has_resolution=bool(decoder.dpi),
        notes=(*marks.notes, *decoder.notes, *((colour.note,) if colour.note else ())),
    )


@contextmanager
def source_image(source: Source) -> Iterator[Any]:
    """All pages below each other as a libvips image in the file's own numbers.

    Raises `InputError` when they differ in size or the decoder gives up.
    """
    if source.decoder is not None:
        pixels = source.decoder.decode()
        image = vips().Image.new_from_array(np.ascontiguousarray(pixels))
        kind = {1: "b-w", 2: "b-w", 3: "srgb", 4: "srgb"}[pixels.shape[2]]
        if source.decoder.cmyk:
            kind = "cmyk"
        elif pixels.dtype == np.uint16:
            kind = {"b-w": "grey16", "srgb": "rgb16"}[kind]
        yield image.copy(interpretation=kind)
        return
    options: dict[str, Any] = {"n": source.pages} if source.pages > 1 else {}
    if source.page:
        options["page"] = source.page
    with _errors_name(source):
        if source.format == "tiff" and source.header.get_typeof("tile-width"):
            options = {**options, "fail_on": _tiles_fail_on(source, options)}
        image = open_image(source.path, source.content, **options)
        yield image.extract_band(0, n=image.bands - 1) if source.spare else image


def _tiles_fail_on(source: Source, options: Mapping[str, Any]) -> str:
    """libvips leaves broken tiles black unless warnings count, but a header may have harmless ones.

    Those come without a message and with the first pixel.
    """
    try:
        first = open_image(source.path, source.content, **{**options, "fail_on": "warning"})
        first.crop(0, 0, 1, 1).avg()
    except vips().Error as error:
        if "tiff2vips" in str(error):
            raise
        return "error"
    return "warning"


@contextmanager
def _errors_name(source: Source) -> Iterator[None]:
    try:
        yield
    except vips().Error as error:
        raise InputError(f"{source.path}: not a readable picture ({reason(error)})") from error


__all__ = ["LOADERS", "MAX_PAGES", "ORIENTATIONS", "Source", "open_source", "source_image"]
