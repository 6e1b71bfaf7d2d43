"""What libvips does not do with TIFF: headers for raw pixels, thumbnails among pages, joining."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from fourfold.errors import OutputError
from fourfold.pictures.directories import (
    BROKEN,
    MAIN,
    NUMBERS,
    Layout,
    Value,
    pack_directories,
    read_pages,
)

_BLOCK: Final = 1 << 20


def join_tiffs(pages: Iterable[Path], target: Path) -> None:
    """Write the pictures of `pages` to `target`, which is replaced; pixels are not touched.

    Only TIFF keeps pages of different sizes, and libvips writes equal ones only.
    """
    from PIL.TiffImagePlugin import AppendingTiffWriter

    try:
        with AppendingTiffWriter(str(target), new=True) as writer:
            for page in pages:
                with page.open("rb") as file:
                    while block := file.read(_BLOCK):
                        writer.write(block)
                writer.newFrame()
    except RuntimeError as error:
        raise OutputError(f"cannot join the pages as TIFF ({error})") from error


_STRIP_BYTES: Final = 1 << 20


def raw_tiff_header(shape: tuple[int, int, int], *, bits: int, is_float: bool) -> bytes:
    """A BigTIFF header for uncompressed `(H, W, C)` pixels of this machine's byte order after it.

    libvips maps raw files into memory as a whole, but reads TIFF strip by strip.
    """
    height, width, channels = shape
    row = width * channels * bits // 8
    rows = max(1, min(height, _STRIP_BYTES // row))
    count = -(-height // rows)
    sizes = [row * min(rows, height - i * rows) for i in range(count)]
    extra = [(338, 3, [2])] if channels in (2, 4) else []  # unassociated alpha
    layout = Layout(order="<" if sys.byteorder == "little" else ">", big=True)

    def directory(places: list[int]) -> bytes:
        tags: list[tuple[int, int, list[int]]] = [
            (256, 4, [width]),
            (257, 4, [height]),
            (258, 3, [bits] * channels),
            (259, 3, [1]),  # not compressed
            (262, 3, [2 if channels >= 3 else 1]),  # RGB, or black is zero
            (273, 16, places),
            (277, 3, [channels]),
            (278, 4, [rows]),
            (279, 16, sizes),
            (284, 3, [1]),  # channels interleaved
            *extra,
            (339, 3, [3 if is_float else 1] * channels),
        ]
        packed = [
            Value(tag, kind, len(values), struct.pack(f"={len(values)}{NUMBERS[kind]}", *values))
            for tag, kind, values in tags
        ]
        return pack_directories({MAIN: packed}, layout, len(start))

    mark = b"II" if layout.order == "<" else b"MM"
    start = struct.pack("=2sHHHQ", mark, 43, 8, 0, 16)
    body = len(start) + len(directory(sizes))
    return start + directory([body + i * rows * row for i in range(count)])


_SUBFILE_TYPE: Final = 254
_REDUCED: Final = 1
"""Bit of NewSubfileType: a smaller version of another picture in the file (TIFF 6.0, section 8)."""


def only_first_is_full(file: BinaryIO, pages: int) -> bool:
    """Whether all pages after the first say they are reduced versions, as in a pyramid."""
    try:
        kinds = [kind for _, kind in zip(range(pages), _subfile_types(file), strict=False)]
    except BROKEN:
        return False
    return len(kinds) == pages and all(kind & _REDUCED for kind in kinds[1:])


def _subfile_types(file: BinaryIO) -> Iterator[int]:
    """NewSubfileType of each page, 0 where there is none."""
    for layout, tags in read_pages(file):
        found = tags.get(_SUBFILE_TYPE)
        yield struct.unpack(layout.pointer, found.field)[0] if found else 0


__all__ = ["join_tiffs", "only_first_is_full", "raw_tiff_header"]
