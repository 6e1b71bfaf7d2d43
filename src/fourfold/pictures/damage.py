"""Damage decoders pass over: they fill what is missing with black, or leave out frames."""

from __future__ import annotations

import struct
from typing import BinaryIO, Final

from fourfold.pictures.directories import BROKEN, NUMBERS, Entry, Layout, read_pages

_TILE_OFFSETS: Final = 324
_TILE_SIZES: Final = 325


def tiles_end_early(file: BinaryIO) -> bool:
    """Whether a tile of a TIFF lies beyond the end of the file; False for a table that is broken.

    libvips stops at a missing strip; a missing tile it leaves black.
    """
    size = file.seek(0, 2)
    try:
        for layout, tags in read_pages(file):
            offsets = _numbers(file, layout, tags.get(_TILE_OFFSETS), size)
            sizes = _numbers(file, layout, tags.get(_TILE_SIZES), size)
            if any(a + b > size for a, b in zip(offsets, sizes, strict=False)):
                return True
    except BROKEN:
        return False
    finally:
        file.seek(0)
    return False


_PHOTOMETRIC: Final = 262
_CIELAB: Final = 8


def is_lab(file: BinaryIO) -> bool:
    """Whether the first page of a TIFF holds CIELAB (TIFF 6.0, section 23)."""
    try:
        layout, tags = next(read_pages(file))
        return bool(struct.unpack_from(layout.order + "H", tags[_PHOTOMETRIC].field)[0] == _CIELAB)
    except (*BROKEN, StopIteration):
        return False
    finally:
        file.seek(0)


def _numbers(file: BinaryIO, layout: Layout, entry: Entry | None, size: int) -> tuple[int, ...]:
    if entry is None:
        return ()
    value, form = entry.field, NUMBERS[entry.kind]
    length = struct.calcsize("=" + form) * entry.items
    if length > layout.inline:
        (place,) = struct.unpack(layout.pointer, value)
        if place + length > size:
            raise struct.error("the table itself is missing")
        file.seek(place)
        value = file.read(length)
    return struct.unpack_from(f"{layout.order}{entry.items}{form}", value)


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


__all__ = ["frames_end_early", "is_lab", "tiles_end_early"]
