"""Picture formats: how they are recognised, what they can hold, how they are written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A format results can be written in."""

    name: str
    suffixes: tuple[str, ...]
    """The first is the one new files get."""
    depths: tuple[int, ...]
    """Bits per channel it holds; 32 stands for float and 32-bit integers."""
    alpha: bool
    frames: bool
    """Whether a file holds several pages or frames."""
    largest_side: int
    encoder_bytes: int = 0
    """Memory the encoder takes per 8-bit pixel with alpha of a page, half as much again for more
    bits, measured by `benchmarks/pictures.py --encoder-memory`; 0 when it works row by row."""
    quality: int | None = None
    """Default of `--quality`; None where there is none. Near-lossless to the eye."""


FORMATS: Final[Mapping[str, Format]] = {
    "png": Format(
        name="png",
        suffixes=(".png",),
        depths=(8, 16),
        alpha=True,
        frames=False,
        largest_side=2**31 - 1,
    ),
    "jpg": Format(
        name="jpg",
        suffixes=(".jpg", ".jpeg", ".jpe", ".jfif"),
        depths=(8,),
        alpha=False,
        frames=False,
        largest_side=65_500,  # libjpeg's JPEG_MAX_DIMENSION
        quality=95,
    ),
    "webp": Format(
        name="webp",
        suffixes=(".webp",),
        depths=(8,),
        alpha=True,
        frames=True,
        largest_side=16_383,  # 14 bits in the bitstream
        encoder_bytes=32,
        quality=95,
    ),
    "tiff": Format(
        name="tiff",
        suffixes=(".tiff", ".tif"),
        depths=(8, 16, 32),
        alpha=True,
        frames=True,
        largest_side=2**31 - 1,
    ),
    "avif": Format(
        name="avif",
        suffixes=(".avif",),
        depths=(8, 16),  # 16-bit pictures are written with 10 or 12 bits
        alpha=True,
        frames=False,
        largest_side=16_384,
        encoder_bytes=48,
        quality=80,
    ),
    "gif": Format(
        name="gif",
        suffixes=(".gif",),
        depths=(8,),
        alpha=True,
        frames=True,
        largest_side=65_535,
        encoder_bytes=24,
    ),
}

EXTENSIONS: Final = ("auto", *FORMATS)
"""What `--ext` takes."""

_BY_SUFFIX: Final = {suffix: form for form in FORMATS.values() for suffix in form.suffixes}

_READ_ONLY_SUFFIXES: Final = frozenset(
    f".{name}"
    for name in (
        *("bmp", "dib", "ico", "icns", "jp2", "j2k", "j2c", "jpf", "jpx", "heic", "heif", "hif"),
        *("tga", "pcx", "ppm", "pgm", "pbm", "pnm", "dds", "psd", "qoi", "apng"),
    )
)

_MAGIC: Final = (
    b"\x89PNG\r\n\x1a\n",
    b"\xff\xd8\xff",
    b"GIF87a",
    b"GIF89a",
    b"II*\0",
    b"MM\0*",
    b"II+\0",
    b"MM\0+",
    b"BM",
    b"\0\0\0\x0cjP  \r\n",
    b"\xff\x4f\xff\x51",
)


def format_of_suffix(path: Path) -> Format | None:
    """The format results named so are written in; None for suffixes nothing is written as."""
    return _BY_SUFFIX.get(path.suffix.lower())


def has_picture_suffix(path: Path) -> bool:
    """Whether the name says picture, in upper or lower case."""
    return path.suffix.lower() in _BY_SUFFIX or path.suffix.lower() in _READ_ONLY_SUFFIXES


def looks_like_picture(path: Path) -> bool:
    """Whether a regular file starts as one of the common formats do."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            head = file.read(16)
    except OSError:
        return False
    return starts_like_picture(head)


def starts_like_picture(head: bytes) -> bool:
    """Whether the first 16 bytes are those of a common format."""
    # BMP's two letters alone are too common in text; its reserved bytes are zero.
    if head[:2] == b"BM":
        return head[6:10] == b"\0\0\0\0"
    riff = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    boxed = head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis", b"heic", b"heix", b"mif1")
    return head.startswith(_MAGIC) or riff or boxed


__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "Format",
    "format_of_suffix",
    "has_picture_suffix",
    "looks_like_picture",
    "starts_like_picture",
]
