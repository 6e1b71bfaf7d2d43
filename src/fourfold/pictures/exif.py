"""EXIF changed in place: camera notes hold offsets into the block, so nothing in it may move."""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import Final

_HEADER: Final = b"Exif\0\0"
_ORIENTATION: Final = 0x0112
_RESOLUTIONS: Final = (0x011A, 0x011B)
_ENTRY: Final = 12


def enlarged_exif(exif: bytes, factor: float) -> bytes:
    """The block of a picture that stands upright now and is `factor` times as large.

    Orientation becomes 1, the resolution grows, and the thumbnail (which shows the small picture)
    is cut off. A block that cannot be understood comes back as it is.
    """
    block = bytearray(exif)
    start = len(_HEADER) if exif.startswith(_HEADER) else 0
    try:
        order = {b"II": "<", b"MM": ">"}[bytes(block[start : start + 2])]
        (first,) = struct.unpack_from(order + "I", block, start + 4)
        directory = start + first
        (count,) = struct.unpack_from(order + "H", block, directory)
        for i in range(count):
            _change(block, order, start, directory + 2 + i * _ENTRY, factor)
        struct.pack_into(order + "I", block, directory + 2 + count * _ENTRY, 0)
    except (KeyError, struct.error, ZeroDivisionError):
        return exif
    return bytes(block)


def _change(block: bytearray, order: str, start: int, entry: int, factor: float) -> None:
    tag, kind, count = struct.unpack_from(order + "HHI", block, entry)
    if tag == _ORIENTATION and kind == 3:
        struct.pack_into(order + "H", block, entry + 8, 1)
    if tag in _RESOLUTIONS and kind == 5 and count == 1:
        (offset,) = struct.unpack_from(order + "I", block, entry + 8)
        place = start + offset
        number, parts = struct.unpack_from(order + "II", block, place)
        grown = (Fraction(number, parts) * Fraction(factor)).limit_denominator(10_000)
        struct.pack_into(order + "II", block, place, grown.numerator, grown.denominator)


__all__ = ["enlarged_exif"]
