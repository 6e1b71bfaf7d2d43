"""The quality a JPEG file was written with, from its quantisation table."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Final

from fourfold.imaging.defects import jpeg_quality

_START, _TABLES, _SCAN = b"\xff\xd8", 0xDB, 0xDA
HEADER: Final = 1 << 20
"""Bytes the tables are looked for in; profiles and EXIF stand before them."""


def read_jpeg_quality(path: Path) -> int | None:
    """1 to 100 as libjpeg counts it; None for other formats and files without a luma table.

    Only the header is read; a damaged one is None too, since decoding will say what is wrong.
    """
    try:
        with path.open("rb") as file:
            return header_quality(file.read(HEADER))
    except OSError:
        return None


def header_quality(header: bytes) -> int | None:
    """The same from the first bytes of a file."""
    if not header.startswith(_START):
        return None
    position = len(_START)
    while position + 4 <= len(header) and header[position] == 0xFF:
        marker, length = struct.unpack_from(">BH", header, position + 1)
        if marker == _TABLES:
            table = _luma_table(header[position + 4 : position + 2 + length])
            if table:
                return jpeg_quality(table)
        if marker == _SCAN or length < 2:
            return None
        position += 2 + length
    return None


def _luma_table(segment: bytes) -> list[int] | None:
    """Table 0 of a DQT segment: a byte of precision and number, then 64 values of 1 or 2 bytes."""
    position = 0
    while position < len(segment):
        wide, number = segment[position] >> 4, segment[position] & 15
        values = segment[position + 1 : position + 1 + 64 * (1 + wide)]
        if wide > 1 or len(values) != 64 * (1 + wide):
            return None
        if number == 0:
            return list(struct.unpack(">64H" if wide else ">64B", values))
        position += 1 + len(values)
    return None


__all__ = ["HEADER", "header_quality", "read_jpeg_quality"]
