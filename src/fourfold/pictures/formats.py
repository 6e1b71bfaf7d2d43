"""Picture formats: names, suffixes, first bytes, decoders, and what each can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True)
class Format:
    """A format results can be written in."""

    name: str
    suffixes: tuple[str, ...]
    """The first is the one new files get."""
    depths: tuple[int, ...]
    """Bits per channel it holds; 32 stands for float and 32-bit integers."""
    alpha: bool = True
    frames: bool = False
    """Whether a file holds several pages or frames."""
    largest_side: int = 2**31 - 1
    encoder_bytes: int = 0
    """Memory the encoder takes per 8-bit pixel with alpha of a page, half as much again for more
    bits, measured by `benchmarks/pictures.py --encoder-memory`; 0 when it works row by row."""
    quality: int | None = None
    """Default of `--quality`; None where there is none. Near-lossless to the eye."""


_WRITTEN: Final = (
    Format("png", (".png",), depths=(8, 16)),
    Format(
        "jpg",
        (".jpg", ".jpeg", ".jpe", ".jfif"),
        depths=(8,),
        alpha=False,
        largest_side=65_500,  # libjpeg's JPEG_MAX_DIMENSION
        quality=95,
    ),
    Format(
        "webp",
        (".webp",),
        depths=(8,),
        frames=True,
        largest_side=16_383,  # 14 bits in the bitstream
        encoder_bytes=32,
        quality=95,
    ),
    Format("tiff", (".tiff", ".tif"), depths=(8, 16, 32), frames=True),
    # 16 bits become 12.
    Format("avif", (".avif",), depths=(8, 16), largest_side=16_384, encoder_bytes=48, quality=80),
    Format("gif", (".gif",), depths=(8,), frames=True, largest_side=65_535, encoder_bytes=24),
)
FORMATS: Final[Mapping[str, Format]] = {form.name: form for form in _WRITTEN}

_NO_IPTC: Final = {"iptc-data": "IPTC"}
NOT_HELD: Final[Mapping[str, Mapping[str, str]]] = {
    **dict.fromkeys(("png", "webp", "avif"), _NO_IPTC),
    "gif": {**_NO_IPTC, "exif-data": "EXIF", "xmp-data": "XMP", "icc-profile-data": "ICC profile"},
}
"""Fields of libvips that are lost, as people call them."""

EXTENSIONS: Final = ("auto", *FORMATS)
"""What `--ext` takes."""

_BY_SUFFIX: Final = {suffix: form for form in _WRITTEN for suffix in form.suffixes}

SUFFIXES: Final = frozenset(
    {
        *_BY_SUFFIX,
        *(".bmp", ".dib", ".ico", ".icns", ".heic", ".heif", ".hif", ".tga", ".pcx", ".dds"),
        *(".jp2", ".j2k", ".j2c", ".jpf", ".jpx", ".ppm", ".pgm", ".pbm", ".pnm", ".psd"),
        *(".qoi", ".apng"),
    }
)
"""Of pictures that can be read, in lower case."""

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

_COMMON: Final = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpg",
    **dict.fromkeys((b"GIF87a", b"GIF89a"), "gif"),
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), "tiff"),
    **dict.fromkeys((b"\0\0\0\x0cjP  \r\n", b"\xff\x4f\xff\x51"), "jp2"),
}
_RARE: Final = {
    **{b"BM": "bmp", b"\0\0\1\0": "ico", b"DDS ": "dds", b"8BPS": "psd", b"icns": "icns"},
    **{b"qoif": "qoi", b"\x0a\x05\x01": "pcx"},
    **{b"P%d" % kind: "pnm" for kind in range(1, 7)},
}
"""Too short or too common in other files to say picture by themselves."""

_BRANDS: Final = {
    **dict.fromkeys((b"avif", b"avis"), "avif"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx"), "heic"),
    **dict.fromkeys((b"mif1", b"msf1"), "heic"),
}


def format_of_suffix(path: Path) -> Format | None:
    """The format results named so are written in; None for suffixes nothing is written as."""
    return _BY_SUFFIX.get(path.suffix.lower())


def has_picture_suffix(path: Path) -> bool:
    """Whether the name says picture, in upper or lower case."""
    return path.suffix.lower() in SUFFIXES


def looks_like_picture(path: Path) -> bool:
    """Whether a regular file starts as one of the common formats do."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return starts_like_picture(file.read(16))
    except OSError:
        return False


def starts_like_picture(head: bytes) -> bool:
    """Whether the first 16 bytes are those of a common format."""
    # BMP's two letters alone are too common in text; its reserved bytes are zero.
    name = format_of_start(head)
    return name in {*_COMMON.values(), *_BRANDS.values(), "webp"} or (
        name == "bmp" and head[6:10] == b"\0\0\0\0"
    )


def format_of_start(head: bytes) -> str | None:
    """The name of the format whose files start so; None for others, as TGA, which has no mark."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[4:8] == b"ftyp":
        return _BRANDS.get(head[8:12])
    table = {**_COMMON, **_RARE}
    return next((name for mark, name in table.items() if head.startswith(mark)), None)


__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "LOADERS",
    "NOT_HELD",
    "SUFFIXES",
    "Format",
    "format_of_start",
    "format_of_suffix",
    "has_picture_suffix",
    "looks_like_picture",
    "starts_like_picture",
]
