"""What libvips does not do with TIFF: headers for raw pixels, thumbnails among pages, joining."""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, Final

from fourfold.errors import OutputError

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
    tags: list[tuple[int, int, list[int]]] = [
        (256, 4, [width]),
        (257, 4, [height]),
        (258, 3, [bits] * channels),
        (259, 3, [1]),  # not compressed
        (262, 3, [2 if channels >= 3 else 1]),  # RGB, or black is zero
        (273, 16, [0] * count),
        (277, 3, [channels]),
        (278, 4, [rows]),
        (279, 16, sizes),
        (284, 3, [1]),  # channels interleaved
        *extra,
        (339, 3, [3 if is_float else 1] * channels),
    ]
    table = 16 + 8 + 20 * len(tags) + 8
    body = table + sum(_packed_size(kind, values) for _, kind, values in tags)
    tags[5] = (273, 16, [body + i * rows * row for i in range(count)])
    mark = b"II" if sys.byteorder == "little" else b"MM"
    entries, outside = b"", b""
    for tag, kind, values in tags:
        data = struct.pack(f"={len(values)}{_TYPES[kind]}", *values)
        if len(data) <= 8:
            place = data.ljust(8, b"\0")
        else:
            place = struct.pack("=Q", table + len(outside))
            outside += data
        entries += struct.pack("=HHQ", tag, kind, len(values)) + place
    start = struct.pack("=2sHHHQQ", mark, 43, 8, 0, 16, len(tags))
    return start + entries + struct.pack("=Q", 0) + outside


_TYPES: Final = {3: "H", 4: "I", 16: "Q"}


def _packed_size(kind: int, values: list[int]) -> int:
    size = len(values) * struct.calcsize(f"={_TYPES[kind]}")
    return size if size > 8 else 0


_SUBFILE_TYPE: Final = 254
_REDUCED: Final = 1
"""Bit of NewSubfileType: a smaller version of another picture in the file (TIFF 6.0, section 8)."""


def only_first_is_full(file: BinaryIO, pages: int) -> bool:
    """Whether all pages after the first say they are reduced versions, as in a pyramid."""
    try:
        kinds = [kind for _, kind in zip(range(pages), _subfile_types(file), strict=False)]
    except (struct.error, OSError):
        return False
    return len(kinds) == pages and all(kind & _REDUCED for kind in kinds[1:])


def _subfile_types(file: BinaryIO) -> Iterator[int]:
    """NewSubfileType of each page, 0 where there is none."""
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    count_form, entry, pointer = ("Q", "HHQQ", "Q") if big else ("H", "HHII", "I")
    (offset,) = struct.unpack_from(order + pointer, head, 8 if big else 4)
    while offset:
        file.seek(offset)
        (count,) = struct.unpack(order + count_form, file.read(struct.calcsize(count_form)))
        table = file.read(count * struct.calcsize(order + entry))
        found = 0
        for tag, _kind, _count, value in struct.iter_unpack(order + entry, table):
            if tag == _SUBFILE_TYPE:
                found = value
        yield found
        (offset,) = struct.unpack(order + pointer, file.read(struct.calcsize(pointer)))


__all__ = ["join_tiffs", "only_first_is_full"]
