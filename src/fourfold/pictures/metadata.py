"""EXIF, IPTC and XMP: taken from TIFF files, added to them, and told of the enlargement.

libvips leaves EXIF and IPTC of TIFF files out. In memory they have the form that JPEG holds them
in, which is what it hands on between formats: an EXIF block, and IPTC inside a Photoshop block.
"""

from __future__ import annotations

import io
import os
import re
import struct
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np

from fourfold.errors import OutputError
from fourfold.pictures.tiff import (
    BROKEN,
    EXIF,
    GPS,
    LONG,
    MAIN,
    OF_EXIF,
    PARENTS,
    RATIONAL,
    SHORT,
    UNDEFINED,
    Directories,
    Entry,
    Layout,
    Tiff,
    Value,
    pack,
)

_DESCRIBING: Final = frozenset(
    {
        *(269, 270, 271, 272, 285),  # document, description, make, model, page name
        *(305, 306, 315, 316),  # software, date, artist, computer
        *(18246, 18249, 33432),  # rating, rating in per cent, copyright
        *range(40091, 40096),  # title, comment, author, keywords, subject, as Windows writes them
    }
)
"""Tags of the main directory that tell of the picture. All others tell how it is stored there."""

_OF_SIZE: Final = frozenset({40962, 40963})
"""PixelXDimension and PixelYDimension in EXIF: those of the small picture."""

_ORIENTATION, _RESOLUTIONS = 274, (282, 283)
_IPTC: Final = 33723

_LARGEST: Final = 60_000
"""Bytes of EXIF and of IPTC. JPEG holds each in one segment, 65 533 at most (ITU-T T.81, B.1.1.4),
and libvips adds a few tags."""

_MARK: Final = b"Exif\0\0"
_PHOTOSHOP: Final = b"Photoshop 3.0\0"
_RESOURCE: Final = b"8BIM\4\4"
"""The IPTC resource of a Photoshop block."""
_IPTC_START: Final = b"\x1c"
"""First byte of every IPTC data set (IPTC IIM 4.2, chapter 1)."""


def upright_xmp(xmp: bytes) -> bytes:
    """XMP may repeat the orientation; the result stands upright. Lengths stay as they are."""
    xmp = re.sub(rb'(tiff:Orientation\s*=\s*["\'])[2-8](["\'])', rb"\g<1>1\2", xmp)
    return re.sub(rb"(<tiff:Orientation>)[2-8](<)", rb"\g<1>1\2", xmp)


def enlarged_exif(exif: bytes, factor: float) -> bytes:
    """The block of a picture that stands upright now and is `factor` times as large.

    Orientation becomes 1, the resolution grows, and the thumbnail (which shows the small picture)
    is cut off. Changed in place: camera notes hold offsets into the block, so nothing in it may
    move. A block that cannot be understood comes back as it is.
    """
    mark = _MARK if exif.startswith(_MARK) else b""
    block = bytearray(exif.removeprefix(mark))
    try:
        tiff = Tiff(io.BytesIO(block))
        entries, link = tiff.table(tiff.first)
        struct.pack_into(tiff.layout.form("P"), block, link, 0)
        for tag, (kind, size, place, _) in entries.items():
            if tag == _ORIENTATION and kind == SHORT:
                struct.pack_into(tiff.layout.order + "H", block, place, 1)
            if tag in _RESOLUTIONS and (kind, size) == (RATIONAL, 8):
                form = tiff.layout.order + "II"
                grown = Fraction(*struct.unpack_from(form, block, place)) * Fraction(factor)
                grown = grown.limit_denominator(10_000)
                struct.pack_into(form, block, place, grown.numerator, grown.denominator)
    except BROKEN:
        return exif
    return mark + bytes(block)


def read_exif(file: BinaryIO) -> bytes | None:
    """An EXIF block of what the TIFF in `file` says of its first page; None when that is nothing.

    libvips leaves it out. Bytes keep their order, since camera notes have that of the file and
    cannot be rewritten.
    """
    try:
        tiff = Tiff(file)
        found, small = _told(tiff, _LARGEST), tiff.layout._replace(big=False)
        block, main = pack(found, small, 8)
        return _MARK + small.header(main) + block if found else None
    except BROKEN:
        return None


def read_iptc(file: BinaryIO) -> bytes | None:
    """IPTC of the first page as a Photoshop block, the form JPEG holds it in; None without, or
    with too much.
    """
    try:
        tiff = Tiff(file)
        entry = tiff.table(tiff.first)[0][_IPTC]
        data = tiff.value(entry) if entry.size <= _LARGEST else b""
    except BROKEN:
        return None
    if entry.kind == LONG and data[3:4] == _IPTC_START:
        # Photoshop once wrote bytes as numbers, which turn around with the order of the file.
        data = np.frombuffer(data, "u4").byteswap().tobytes()
    if not data.startswith(_IPTC_START):
        return None
    size = struct.pack(">HI", 0, len(data))
    return _PHOTOSHOP + _RESOURCE + size + data + b"\0" * (len(data) % 2)


def _bare_iptc(block: bytes) -> bytes:
    """The IPTC inside a Photoshop block, or what is bare already; empty without."""
    _, found, rest = block.partition(_RESOURCE)
    if found:
        start = (rest[0] + 2) // 2 * 2 + 4 if rest else 0  # after a name, made even, and the size
        size = int.from_bytes(rest[start - 4 : start])
        block = rest[start : start + size].ljust(size, b"\0")
    return block if block.startswith(_IPTC_START) else b""


def add_metadata(image: Any, name: bytes) -> None:
    """Add the EXIF and IPTC of `image` to the TIFF file `name` that libvips wrote of it.

    Only appends, and then points the header at the new main directory: pixels stay where they are.
    What is broken is left out. Raises `OutputError` when the file cannot be written.
    """
    fields = ("exif-data", "iptc-data")
    exif, iptc = (bytes(image.get(key)) if image.get_typeof(key) else b"" for key in fields)
    try:
        with Path(os.fsdecode(name)).open("r+b") as file:
            _append(file, exif, iptc)
    except OSError as error:
        raise OutputError(f"cannot write tiff ({error.strerror or error})") from error


def _append(file: BinaryIO, exif: bytes, iptc: bytes) -> None:
    tiff = Tiff(file)
    entries, link = tiff.table(tiff.first)
    added = _from_block(exif, tiff.layout)
    if {EXIF, GPS} & entries.keys() or not (added or iptc):  # a libvips that writes them itself
        return
    # libvips 8.18 writes a quarter of the bytes, and the Photoshop block where bare IPTC belongs.
    stay = {tag: entry.raw for tag, entry in entries.items() if tag != _IPTC}
    main = [value for value in added.get(MAIN, ()) if value.tag not in stay]
    bare = _bare_iptc(iptc)
    main += [Value(_IPTC, UNDEFINED, bare)] if bare else []
    end = file.seek(0, os.SEEK_END)
    start, following = end + end % 2, tiff.following(link)
    found = {**added, MAIN: main}
    try:
        block, place = pack(found, tiff.layout, start, stay=stay.values(), following=following)
        header = tiff.layout.header(place)
    except struct.error:  # beyond the 4 GB of TIFF
        return
    file.seek(end)
    file.write(b"\0" * (start - end) + block)
    file.flush()
    file.seek(0)
    file.write(header)


def _from_block(exif: bytes, target: Layout) -> Directories:
    """What an EXIF block says, in the byte order of `target`; empty when it is broken."""
    try:
        tiff = Tiff(io.BytesIO(exif.removeprefix(_MARK)))
        found = _told(tiff, len(exif))
    except BROKEN:
        return {}
    if tiff.layout.order == target.order:
        return found
    return {key: [_turned(value) for value in values] for key, values in found.items()}


def _told(tiff: Tiff, most: int) -> dict[int, list[Value]]:
    """What the directories tell of the picture, in up to `most` bytes: the smallest values.

    Each directory is read once at most; what cannot be read is left out.
    """
    tables, wanted = {MAIN: tiff.table(tiff.first)[0]}, list[tuple[int, int, Entry]]()
    for key in (MAIN, *PARENTS):
        with suppress(*BROKEN):
            place = tiff.number(tables.get(PARENTS.get(key, -1), {}).get(key))
            tables.update({} if place is None else {key: tiff.table(place)[0]})
        for tag, entry in tables.get(key, {}).items():
            kept = tag in _DESCRIBING if key == MAIN else tag not in _OF_SIZE | {*PARENTS}
            if kept and entry.kind in OF_EXIF and entry.size:
                wanted.append((key, tag, entry))
    found: dict[int, list[Value]] = {}
    for key, tag, entry in sorted(wanted, key=lambda item: item[2].size):
        most -= entry.size + 12  # an entry takes 12 bytes more than its value
        if most < 0:
            break
        with suppress(*BROKEN):
            value = Value(tag, entry.kind, tiff.value(entry))
            found.setdefault(key, []).append(value)
    return found


def _turned(value: Value) -> Value:
    """The value in the other byte order; undefined bytes stay, whatever they hold."""
    unit = 4 if value.kind in (RATIONAL, 10) else OF_EXIF[value.kind]
    data = np.frombuffer(value.data, f"u{unit}").byteswap().tobytes()
    return value._replace(data=data)


__all__ = ["add_metadata", "enlarged_exif", "read_exif", "read_iptc", "upright_xmp"]
