"""Damage decoders pass over: they fill what is missing with black, or leave out frames."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO, Final

_TILE_OFFSETS: Final = 324
_TILE_SIZES: Final = 325
_MAX_PAGES: Final = 10_000
_FORMS: Final = {3: "H", 4: "I", 16: "Q"}
"""TIFF's types that hold a place in the file: SHORT, LONG, LONG8."""


def tiles_end_early(file: BinaryIO) -> bool:
    """Whether a tile of a TIFF lies beyond the end of the file; False for a table that is broken.

    libvips stops at a missing strip; a missing tile it leaves black.
    """
    size = file.seek(0, 2)
    try:
        for tags, order in directories(file):
            offsets = _numbers(file, order, tags.get(_TILE_OFFSETS), size)
            sizes = _numbers(file, order, tags.get(_TILE_SIZES), size)
            if any(a + b > size for a, b in zip(offsets, sizes, strict=False)):
                return True
    except (struct.error, KeyError):
        return False
    finally:
        file.seek(0)
    return False


_PHOTOMETRIC: Final = 262
_CIELAB: Final = 8


def is_lab(file: BinaryIO) -> bool:
    """Whether the first page of a TIFF holds CIELAB (TIFF 6.0, section 23)."""
    try:
        tags, order = next(directories(file))
        value = tags[_PHOTOMETRIC][2]
        return bool(struct.unpack_from(order + "H", value)[0] == _CIELAB)
    except (struct.error, KeyError, StopIteration):
        return False
    finally:
        file.seek(0)


_Entry = tuple[int, int, bytes]
"""Type, count, and the value or its place."""


def directories(file: BinaryIO) -> Iterator[tuple[dict[int, _Entry], str]]:
    """(tags, byte order) of each page; classic TIFF and BigTIFF."""
    file.seek(0)
    head = file.read(16)
    order = "<" if head[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", head, 2)[0] == 43
    count_form, entry, pointer = ("Q", "HHQ8s", "Q") if big else ("H", "HHI4s", "I")
    (offset,) = struct.unpack_from(order + pointer, head, 8 if big else 4)
    seen = set[int]()
    while offset and offset not in seen and len(seen) < _MAX_PAGES:
        seen.add(offset)
        file.seek(offset)
        (count,) = struct.unpack(order + count_form, file.read(struct.calcsize(order + count_form)))
        table = file.read(min(count, 65535) * struct.calcsize(order + entry))
        tags = {
            tag: (kind, number, value)
            for tag, kind, number, value in struct.iter_unpack(order + entry, table)
        }
        (offset,) = struct.unpack(order + pointer, file.read(struct.calcsize(order + pointer)))
        yield tags, order


def _numbers(file: BinaryIO, order: str, entry: _Entry | None, size: int) -> tuple[int, ...]:
    if entry is None:
        return ()
    kind, count, value = entry
    length = struct.calcsize(order + _FORMS[kind]) * count
    if length > len(value):
        (place,) = struct.unpack(order + ("Q" if len(value) == 8 else "I"), value)
        if place + length > size:
            raise struct.error("the table itself is missing")
        position = file.tell()
        file.seek(place)
        value = file.read(length)
        file.seek(position)
    return struct.unpack_from(f"{order}{count}{_FORMS[kind]}", value)


_GIF_EXTENSION, _GIF_FRAME, _GIF_CONTROL, _GIF_END = 0x21, 0x2C, 0xF9, 0x3B


def frames_end_early(file: BinaryIO) -> bool:
    """Whether a GIF ends within a block, or after the timing of a frame that is not there.

    libvips leaves out the frame. A file that only lacks its last byte, the trailer, is whole.
    """
    file.seek(0)
    announced = False
    try:
        _skip_colours(file, _exactly(file, 13)[10])
        while (mark := file.read(1)) and mark[0] != _GIF_END:
            if mark[0] == _GIF_EXTENSION:
                announced = _exactly(file, 1)[0] == _GIF_CONTROL or announced
            elif mark[0] == _GIF_FRAME:
                _skip_colours(file, _exactly(file, 9)[8])
                _exactly(file, 1)
                announced = False
            else:
                return False  # padding, or damage the decoder tells
            while length := _exactly(file, 1)[0]:
                _exactly(file, length)
    except EOFError:
        return True
    finally:
        file.seek(0)
    return announced and not mark


def _skip_colours(file: BinaryIO, flags: int) -> None:
    if flags & 0x80:
        _exactly(file, 3 << (flags & 7) + 1)


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    if len(data) < count:
        raise EOFError
    return data


__all__ = ["directories", "frames_end_early", "is_lab", "tiles_end_early"]
