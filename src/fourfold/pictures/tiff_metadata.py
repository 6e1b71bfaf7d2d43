"""EXIF and IPTC of TIFF files, which libvips leaves out: read from them, and added to them.

In memory both have the form that JPEG holds them in, which is what libvips hands on between
formats: an EXIF block, and IPTC inside a Photoshop block.
"""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final

from fourfold.errors import OutputError
from fourfold.pictures.directories import (
    BROKEN,
    EXIF,
    GPS,
    INTEROP,
    MAIN,
    Entry,
    Layout,
    Value,
    pack_directories,
    read_header,
    read_table,
    read_tables,
    read_value,
    reordered,
    value_size,
)
from fourfold.pictures.vips import vips

_MARK: Final = b"Exif\0\0"
_PHOTOSHOP: Final = b"Photoshop 3.0\0"
_RESOURCE: Final = b"8BIM"
_IPTC_RESOURCE: Final = 0x0404
_IPTC_START: Final = b"\x1c"
"""First byte of every IPTC data set (IPTC IIM 4.2, chapter 1)."""

_IPTC: Final = 33723
_LONG: Final = 4
_UNDEFINED: Final = 7

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

_LARGEST: Final = 60_000
"""Bytes of values that are taken, of EXIF and of IPTC. JPEG holds each in one segment, 65 533 at
most (ITU-T T.81, B.1.1.4), and libvips adds a few tags."""


def with_metadata(image: Any, file: BinaryIO) -> Any:
    """`image`, the header of the TIFF in `file`, with the EXIF and IPTC of the first page.

    Values over 60 000 bytes in sum are left out, the largest first. What is broken is left out too;
    nothing is raised. Pixels are not read.
    """
    fields = {"exif-data": read_exif(file), "iptc-data": read_iptc(file)}
    image = image.copy()
    for name, value in fields.items():
        if value and (name == "iptc-data" or not image.get_typeof(name)):
            image.set_type(vips().GValue.blob_type, name, value)
    return image


def read_exif(file: BinaryIO) -> bytes | None:
    """An EXIF block of what the TIFF in `file` says of its first page; None when that is nothing.

    Bytes keep their order, since camera notes have that of the file and cannot be rewritten.
    """
    try:
        layout, first = read_header(file)
        found = _read_directories(file, layout, first, _LARGEST)
        small = Layout(order=layout.order, big=False)
        mark = b"II*\0" if layout.order == "<" else b"MM\0*"
        head = _MARK + mark + struct.pack(small.pointer, 8)
        return head + pack_directories(found, small, 8) if found else None
    except BROKEN:
        return None


def read_iptc(file: BinaryIO) -> bytes | None:
    """IPTC of the first page as a Photoshop block; None without, or with too much."""
    try:
        layout, first = read_header(file)
        entries = {entry.tag: entry for entry in read_table(file, layout, first)[0]}
        if _IPTC not in entries or not 0 < value_size(entries[_IPTC]) <= _LARGEST:
            return None
        value = read_value(file, layout, entries[_IPTC])
    except BROKEN:
        return None
    data = b"" if value is None else value.data
    if entries[_IPTC].kind == _LONG and data[3:4] == _IPTC_START:
        # Photoshop once wrote bytes as numbers, which turn around with the order of the file.
        data = b"".join(data[i : i + 4][::-1] for i in range(0, len(data), 4))
    if not data.startswith(_IPTC_START):
        return None
    head = _PHOTOSHOP + _RESOURCE + struct.pack(">HHI", _IPTC_RESOURCE, 0, len(data))
    return head + data + b"\0" * (len(data) % 2)


def add_metadata(image: Any, name: bytes) -> None:
    """Add the EXIF and IPTC of `image` to the TIFF file `name` that libvips wrote of it.

    Only appends, and then points the header at the new main directory: pixels stay where they are.
    What is broken is left out. Raises `OutputError` when the file cannot be written.
    """
    blobs = [bytes(image.get(key)) if image.get_typeof(key) else b"" for key in _FIELDS]
    try:
        with Path(os.fsdecode(name)).open("r+b") as file:
            _append(file, *blobs)
    except OSError as error:
        raise OutputError(f"cannot write tiff ({error.strerror or error})") from error


_FIELDS: Final = ("exif-data", "iptc-data")


def _append(file: BinaryIO, exif: bytes, iptc: bytes) -> None:
    layout, first = read_header(file)
    entries, following = read_table(file, layout, first)
    added = _from_block(exif, layout)
    # libvips 8.18 writes a quarter of the bytes, and the Photoshop block where bare IPTC belongs.
    stay = [entry for entry in entries if entry.tag != _IPTC]
    own = {entry.tag for entry in stay}
    main = [value for value in added.get(MAIN, ()) if value.tag not in own]
    bare = _bare_iptc(iptc)
    if bare:
        main.append(Value(_IPTC, _UNDEFINED, len(bare), bare))
    if own & {EXIF, GPS} or not (added or iptc):  # a libvips that writes them itself, or nothing
        return
    end = file.seek(0, os.SEEK_END)
    start = end + end % 2
    try:
        block = pack_directories(
            {**added, MAIN: main}, layout, start, stay=stay, following=following
        )
        if start + len(block) >= 1 << 32 and not layout.big:
            return
        pointer = struct.pack(layout.pointer, start)
    except struct.error:  # beyond the 4 GB of TIFF
        return
    file.write(b"\0" * (start - end) + block)
    file.flush()
    file.seek(8 if layout.big else 4)
    file.write(pointer)


def _from_block(exif: bytes, target: Layout) -> dict[int, list[Value]]:
    """What an EXIF block says, in the byte order of `target`; empty when it is broken."""
    file = io.BytesIO(exif.removeprefix(_MARK))
    try:
        layout, first = read_header(file)
        found = _read_directories(file, layout, first, len(exif))
    except BROKEN:
        return {}
    return {
        key: [reordered(value, layout, target) for value in values] for key, values in found.items()
    }


def _read_directories(
    file: BinaryIO, layout: Layout, first: int, most: int
) -> dict[int, list[Value]]:
    """What the directories tell of the picture, in up to `most` bytes: the smallest values."""
    tables = read_tables(file, layout, first)
    wanted = [(key, entry) for key, table in tables.items() for entry in _telling(key, table)]
    found: dict[int, list[Value]] = {}
    for key, entry in sorted(wanted, key=lambda item: value_size(item[1])):
        # An entry takes 12 bytes more than its value.
        most -= value_size(entry) + 12
        if most < 0:
            break
        value = read_value(file, layout, entry)
        if value is not None:
            found.setdefault(key, []).append(value)
    return found


def _telling(key: int, table: list[Entry]) -> Iterator[Entry]:
    """The entries to keep, each tag once."""
    seen = {EXIF, GPS, INTEROP} | _OF_SIZE
    for entry in table:
        kept = key != MAIN or entry.tag in _DESCRIBING
        if kept and value_size(entry) and entry.tag not in seen:
            seen.add(entry.tag)
            yield entry


def _bare_iptc(block: bytes) -> bytes | None:
    """The IPTC inside a Photoshop block, or what is bare already; None without."""
    if block.startswith(_IPTC_START):
        return block
    place = len(_PHOTOSHOP)
    while block[place : place + 4] == _RESOURCE and place + 12 <= len(block):
        (number,) = struct.unpack_from(">H", block, place + 4)
        place += 6 + (block[place + 6] + 2) // 2 * 2  # a name, its length before it, made even
        if place + 4 > len(block):
            break
        (size,) = struct.unpack_from(">I", block, place)
        data = block[place + 4 : place + 4 + size]
        if number == _IPTC_RESOURCE:
            return data if len(data) == size and data.startswith(_IPTC_START) else None
        place += 4 + size + size % 2
    return None


__all__ = ["add_metadata", "read_exif", "read_iptc", "with_metadata"]
