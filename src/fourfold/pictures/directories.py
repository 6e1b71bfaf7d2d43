"""TIFF directories as bytes: read within bounds, and packed again. EXIF is made of them too."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Final, NamedTuple

MAIN: Final = 0
EXIF: Final = 34665
GPS: Final = 34853
INTEROP: Final = 40965
"""Directories, named by the tag that points at each; the main one has none."""

_PARENTS: Final = {EXIF: MAIN, INTEROP: EXIF, GPS: MAIN}

_MOST_ENTRIES: Final = 512
"""Of a directory that is kept; real ones have fewer than 100."""

_MOST_COUNTED: Final = 65535
"""Of a directory that is only looked into: as many as classic TIFF can count."""

_MOST_PAGES: Final = 10_000

BROKEN: Final = (struct.error, ValueError, KeyError, OverflowError, OSError)
"""What reading a directory that is none may raise."""

_SIZES: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of one item of each type that EXIF knows (TIFF 6.0, section 2)."""

_LONG: Final = 4
_LONG8: Final = 16
NUMBERS: Final = {3: "H", _LONG: "I", _LONG8: "Q"}
"""Types of sizes and places in the file, as `struct` takes them."""

_POINTER_TYPES: Final = (_LONG, 13, _LONG8, 18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """How numbers are laid out in a file."""

    order: str
    """`<` or `>`, as `struct` takes it."""
    big: bool
    """BigTIFF: offsets have 8 bytes, not 4."""

    @property
    def pointer(self) -> str:
        """`struct` format of an offset."""
        return self.order + ("Q" if self.big else "I")

    @property
    def count(self) -> str:
        """`struct` format of the number of entries."""
        return self.order + ("Q" if self.big else "H")

    @property
    def entry(self) -> str:
        """`struct` format of an entry: tag, type, items, and the value or where it is."""
        return self.order + ("HHQ8s" if self.big else "HHI4s")

    @property
    def inline(self) -> int:
        """Bytes of a value that fit into an entry."""
        return 8 if self.big else 4


class Entry(NamedTuple):
    """An entry of a directory."""

    tag: int
    kind: int
    items: int
    field: bytes
    """As it stands in the entry: the value, padded, or where the value is."""


class Value(NamedTuple):
    """An entry with its value, wherever that was."""

    tag: int
    kind: int
    items: int
    data: bytes


Directories = Mapping[int, Sequence[Value]]
"""By `MAIN`, `EXIF`, `GPS`, `INTEROP`; without the pointers between them."""


def read_header(file: BinaryIO) -> tuple[Layout, int]:
    """The layout and the offset of the first directory. Raises one of `BROKEN`."""
    file.seek(0)
    head = file.read(16)
    order = {b"II": "<", b"MM": ">"}[head[:2]]
    big = {42: False, 43: True}[struct.unpack_from(order + "H", head, 2)[0]]
    layout = Layout(order=order, big=big)
    (first,) = struct.unpack_from(layout.pointer, head, 8 if big else 4)
    return layout, first


def read_pages(file: BinaryIO) -> Iterator[tuple[Layout, dict[int, Entry]]]:
    """The layout, and the entries of each page by tag; each page once, so loops end.

    Raises one of `BROKEN`.
    """
    layout, offset = read_header(file)
    seen = set[int]()
    while offset and offset not in seen and len(seen) < _MOST_PAGES:
        seen.add(offset)
        entries, offset = read_table(file, layout, offset, most=_MOST_COUNTED)
        yield layout, {entry.tag: entry for entry in entries}


def read_table(
    file: BinaryIO, layout: Layout, offset: int, *, most: int = _MOST_ENTRIES
) -> tuple[list[Entry], int]:
    """The entries of the directory at `offset`, and the offset of the next directory.

    Values outside the table are not read. Raises one of `BROKEN`.
    """
    file.seek(offset)
    (count,) = struct.unpack(layout.count, file.read(struct.calcsize(layout.count)))
    if count > most:
        raise ValueError(f"{count} entries; want at most {most}")
    table = file.read(count * struct.calcsize(layout.entry))
    (following,) = struct.unpack(layout.pointer, file.read(struct.calcsize(layout.pointer)))
    return [Entry(*item) for item in struct.iter_unpack(layout.entry, table)], following


def read_value(file: BinaryIO, layout: Layout, entry: Entry) -> Value | None:
    """The entry with its value; None when the file ends before it."""
    size = value_size(entry)
    data = entry.field[:size]
    if size > layout.inline:
        try:
            file.seek(*struct.unpack(layout.pointer, entry.field))
            data = file.read(size)
        except BROKEN:
            return None
    return Value(entry.tag, entry.kind, entry.items, data) if len(data) == size else None


def value_size(entry: Entry | Value) -> int:
    """In bytes; 0 for types that EXIF does not know."""
    return _SIZES.get(entry.kind, 0) * entry.items


def read_tables(file: BinaryIO, layout: Layout, first: int) -> dict[int, list[Entry]]:
    """The directories that can be read, from the main one at `first` and those below it.

    Each is read once at most, so loops cannot occur.
    """
    offsets = {MAIN: first}
    tables: dict[int, list[Entry]] = {}
    for key in (MAIN, *_PARENTS):
        for entry in tables.get(_PARENTS[key], ()) if key else ():
            if entry.tag == key and entry.kind in _POINTER_TYPES and entry.items == 1:
                form = "Q" if entry.kind in (_LONG8, 18) and layout.big else "I"
                offsets[key] = struct.unpack_from(layout.order + form, entry.field)[0]
        try:
            tables[key] = read_table(file, layout, offsets[key])[0]
        except BROKEN:
            continue
    return tables


def reordered(value: Value, old: Layout, new: Layout) -> Value:
    """The value in the byte order of another file; undefined bytes stay, whatever they hold."""
    unit = 4 if value.kind in (5, 10) else _SIZES[value.kind]
    if old.order == new.order or unit == 1:
        return value
    letter = {2: "H", 4: "I", 8: "Q"}[unit]
    form = f"{len(value.data) // unit}{letter}"
    data = struct.pack(new.order + form, *struct.unpack(old.order + form, value.data))
    return value._replace(data=data)


def pack_directories(
    directories: Directories,
    layout: Layout,
    start: int,
    *,
    stay: Iterable[Entry] = (),
    following: int = 0,
) -> bytes:
    """The directories and their values as they stand at the even offset `start`, the main first.

    `stay` are more entries of the main one, whose values are elsewhere in the file already, and
    `following` is the offset of the directory after it. Empty directories are left out. Raises
    `struct.error` when an offset is too large for the layout.
    """
    wanted = {key: list(values) for key, values in directories.items() if values}
    if INTEROP in wanted:
        wanted.setdefault(EXIF, [])
    keys = [MAIN, *(key for key in _PARENTS if key in wanted)]
    places = dict.fromkeys(keys, 0)

    def packed() -> list[bytes]:
        blocks = []
        for key in keys:
            below = [_pointer(k, places[k], layout) for k in keys[1:] if _PARENTS[k] == key]
            entries: list[Entry | Value] = [*wanted.get(key, ()), *below]
            if key == MAIN:
                entries += stay
            blocks.append(_pack(entries, layout, places[key], following if key == MAIN else 0))
        return blocks

    # Twice: where each begins follows from the sizes, which do not depend on the offsets inside.
    for key, block in zip(keys, packed(), strict=True):
        places[key] = start
        start += len(block)
    return b"".join(packed())


def _pointer(tag: int, place: int, layout: Layout) -> Value:
    kind = _LONG8 if layout.big else _LONG
    return Value(tag, kind, 1, struct.pack(layout.pointer, place))


def _pack(entries: list[Entry | Value], layout: Layout, start: int, following: int) -> bytes:
    size = struct.calcsize(layout.entry)
    outside = start + struct.calcsize(layout.count) + size * len(entries)
    outside += struct.calcsize(layout.pointer)
    table, values = struct.pack(layout.count, len(entries)), b""
    for entry in sorted(entries, key=lambda entry: entry.tag):
        if isinstance(entry, Entry):
            field = entry.field
        elif len(entry.data) <= layout.inline:
            field = entry.data
        else:
            field = struct.pack(layout.pointer, outside + len(values))
            values += entry.data + b"\0" * (len(entry.data) % 2)  # values start at even offsets
        table += struct.pack(layout.entry, entry.tag, entry.kind, entry.items, field)
    return table + struct.pack(layout.pointer, following) + values


__all__ = [
    "BROKEN",
    "EXIF",
    "GPS",
    "INTEROP",
    "MAIN",
    "NUMBERS",
    "Directories",
    "Entry",
    "Layout",
    "Value",
    "pack_directories",
    "read_header",
    "read_pages",
    "read_table",
    "read_tables",
    "read_value",
    "reordered",
    "value_size",
]
