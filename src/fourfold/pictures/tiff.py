"""TIFF directories, of which EXIF is made too: read within bounds, packed again, joined.

Pillow reads a tag as long as it says it is, and as text of its own kind. Files of strangers need
bounds, and camera notes need their bytes. See docs/decisions/0033.
"""

from __future__ import annotations

import struct
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np

from fourfold.errors import OutputError

MAIN, EXIF, GPS, INTEROP = 0, 34665, 34853, 40965
"""Directories, named by the tag that points at each; the main one has none."""

PARENTS: Final = {EXIF: MAIN, GPS: MAIN, INTEROP: EXIF}

_PHOTOMETRIC, _EXTRA_SAMPLES, _SUBFILE_TYPE = 262, 338, 254
_CIELAB: Final = 8
_REDUCED: Final = 1
"""Bit of NewSubfileType: a smaller version of another picture in the file (TIFF 6.0, section 8)."""

SHORT, LONG, RATIONAL, UNDEFINED, LONG8 = 3, 4, 5, 7, 16
OF_EXIF: Final = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4}
"""Bytes of one item of each type that EXIF knows (TIFF 6.0, section 2)."""
SIZES: Final = {**OF_EXIF, LONG8: 8, 18: 8}
NUMBERS: Final = {SHORT: "H", LONG: "I", 13: "I", LONG8: "Q", 18: "Q"}
"""Types of sizes and places in the file, as `struct` takes them."""

_MOST_ENTRIES: Final = 512
"""Real directories have fewer than 100."""
_MOST_PAGES: Final = 10_000
BROKEN: Final = (struct.error, ValueError, LookupError, OverflowError, OSError, ZeroDivisionError)
"""What reading a directory that is none may raise."""


class Layout(NamedTuple):
    """How numbers are laid out in a file."""

    order: str
    """`<` or `>`, as `struct` takes it."""
    big: bool
    """BigTIFF: offsets have 8 bytes, not 4."""

    def form(self, letters: str) -> str:
        """As `struct` takes it; P is an offset, N a number of entries."""
        pointer, number = ("Q", "Q") if self.big else ("I", "H")
        return self.order + letters.replace("P", pointer).replace("N", number)

    def header(self, first: int) -> bytes:
        """The first bytes of a file whose first directory is at `first`."""
        mark, sizes = b"II" if self.order == "<" else b"MM", (43, 8, 0) if self.big else (42,)
        return mark + struct.pack(self.form("H" * len(sizes) + "P"), *sizes, first)


class Value(NamedTuple):
    """A tag with its type and the bytes of its value."""

    tag: int
    kind: int
    data: bytes


class Entry(NamedTuple):
    """An entry of a directory; the value is not read."""

    kind: int
    size: int
    """Bytes of the value; 0 for types that EXIF does not know."""
    place: int
    """Of the value in the file."""
    raw: bytes


Directories = Mapping[int, list[Value]]
"""By `MAIN`, `EXIF`, `GPS`, `INTEROP`; without the pointers between them."""


class Tiff:
    """The directories of a file; everything it does may raise one of `BROKEN`."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        file.seek(0)
        head = file.read(16)
        order = {b"II": "<", b"MM": ">"}[head[:2]]
        big = {42: False, 43: True}[struct.unpack_from(order + "H", head, 2)[0]]
        self.layout = Layout(order, big)
        self.inline = 8 if big else 4
        """Bytes of a value that stand in its entry."""
        self.link = self.inline
        """Where the offset of the first directory stands."""
        self.first = self.following(self.link)

    def table(self, offset: int) -> tuple[dict[int, Entry], int]:
        """The entries of the directory at `offset` by tag, and where the next offset stands."""
        entries, form = dict[int, Entry](), self.layout.form(f"HHP{self.inline}s")
        (count,) = self._unpack("N", offset)
        if count > _MOST_ENTRIES:
            raise ValueError(f"{count} entries; want at most {_MOST_ENTRIES}")
        place, size = offset + struct.calcsize(self.layout.form("N")), struct.calcsize(form)
        table = self._take(place, count * size)
        for start in range(0, count * size, size):
            tag, kind, items, field = struct.unpack_from(form, table, start)
            length, value = SIZES.get(kind, 0) * items, place + start + size - self.inline
            if length > self.inline:
                (value,) = struct.unpack(self.layout.form("P"), field)
            entries.setdefault(tag, Entry(kind, length, value, table[start : start + size]))
        return entries, place + count * size

    def following(self, link: int) -> int:
        """The offset that stands at `link`."""
        return self._unpack("P", link)[0]

    def pages(self) -> Iterator[dict[int, Entry]]:
        """The entries of each page; each page once, so loops end."""
        offset, seen = self.first, set[int]()
        while offset and offset not in seen and len(seen) < _MOST_PAGES:
            seen.add(offset)
            entries, link = self.table(offset)
            yield entries
            offset = self.following(link)

    def value(self, entry: Entry) -> bytes:
        """The bytes of a value."""
        return self._take(entry.place, entry.size)

    def number(self, entry: Entry | None) -> int | None:
        """The whole number that is a value; None when it is none, or several."""
        if entry is None or entry.kind not in NUMBERS or entry.size != SIZES[entry.kind]:
            return None
        return self._unpack(NUMBERS[entry.kind], entry.place)[0]

    def _unpack(self, letters: str, place: int) -> tuple[int, ...]:
        form = self.layout.form(letters)
        return struct.unpack(form, self._take(place, struct.calcsize(form)))

    def _take(self, place: int, count: int) -> bytes:
        self.file.seek(place)
        data = self.file.read(count)
        if len(data) < count:
            raise ValueError("the file ends early")
        return data


def pack(
    directories: Directories,
    layout: Layout,
    start: int,
    *,
    stay: Iterable[bytes] = (),
    following: int = 0,
) -> tuple[bytes, int]:
    """The directories and their values as they stand at the even offset `start`, and where the main
    one is.

    `stay` are more entries of the main one, whose values are elsewhere in the file already, and
    `following` is the offset of the directory after it. Raises `struct.error` when an offset is
    too large for the layout.
    """
    wanted = {key: list(directories.get(key, ())) for key in (INTEROP, EXIF, GPS, MAIN)}
    block, place = b"", start
    for key, values in wanted.items():  # what points at a directory comes after it
        place = start + len(block)
        if key == MAIN:
            block += _pack(values, layout, place, stay, following)
        elif values:
            block += _pack(values, layout, place, (), 0)
            pointer = struct.pack(layout.form("P"), place)
            wanted[PARENTS[key]].append(Value(key, LONG8 if layout.big else LONG, pointer))
    return block, place


def _pack(
    values: list[Value], layout: Layout, start: int, stay: Iterable[bytes], following: int
) -> bytes:
    entries, outside, inline = list(stay), b"", 8 if layout.big else 4
    form = layout.form(f"HHP{inline}s")
    end = start + struct.calcsize(layout.form("NP"))
    end += struct.calcsize(form) * (len(entries) + len(values))
    for tag, kind, data in values:
        field = data
        if len(data) > inline:
            field = struct.pack(layout.form("P"), end + len(outside))
            outside += data + b"\0" * (len(data) % 2)  # values start at even offsets
        entries.append(struct.pack(form, tag, kind, len(data) // SIZES[kind], field))
    entries.sort(key=lambda raw: struct.unpack_from(layout.order + "H", raw))
    table = struct.pack(layout.form("N"), len(entries)) + b"".join(entries)
    return table + struct.pack(layout.form("P"), following) + outside


def tag_of_pages(file: BinaryIO, tag: int) -> Iterator[int | None]:
    """The number each page's `tag` holds, None without; ends where the file is broken."""
    with suppress(*BROKEN):
        tiff = Tiff(file)
        for entries in tiff.pages():
            yield tiff.number(entries.get(tag))


def is_lab(file: BinaryIO) -> bool:
    """Whether the first page of a TIFF holds CIELAB (TIFF 6.0, section 23)."""
    return next(tag_of_pages(file, _PHOTOMETRIC), None) == _CIELAB


def has_spare(file: BinaryIO, page: int) -> bool:
    """Whether the extra channel of a page means nothing (TIFF 6.0, section 18)."""
    return next(islice(tag_of_pages(file, _EXTRA_SAMPLES), page, None), None) == 0


def only_first_is_full(file: BinaryIO, pages: int) -> bool:
    """Whether all pages after the first say they are reduced versions, as in a pyramid."""
    kinds = list(islice(tag_of_pages(file, _SUBFILE_TYPE), pages))
    return len(kinds) == pages and all((kind or 0) & _REDUCED for kind in kinds[1:])


_BLOCK: Final = 1 << 20


def join_tiffs(pages: Iterable[Path], target: Path) -> None:
    """Write the pictures of `pages` to `target`, which is replaced; pixels are not touched.

    Only TIFF keeps pages of different sizes, and libvips writes equal ones only.
    """
    from PIL.TiffImagePlugin import AppendingTiffWriter

    class Writer(AppendingTiffWriter):
        def close(self) -> None:
            # From Python 3.13 on a file is closed again when it goes, and what that raises is printed.
            if not self.f.closed:
                super().close()

    try:
        with Writer(str(target), new=True) as writer:
            for page in pages:
                with page.open("rb") as file:
                    while block := file.read(_BLOCK):
                        writer.write(block)
                writer.newFrame()
    except RuntimeError as error:
        raise OutputError(f"cannot join the pages as TIFF ({error})") from error


def raw_tiff_header(shape: tuple[int, int, int], dtype: np.dtype[Any]) -> bytes:
    """A BigTIFF header for uncompressed `(H, W, C)` pixels of this machine's byte order after it.

    libvips maps raw files into memory as a whole, but reads TIFF strip by strip.
    """
    height, width, channels = shape
    row = width * channels * dtype.itemsize
    rows = max(1, min(height, _BLOCK // row))
    starts = np.arange(0, height, rows)
    layout = Layout("<" if sys.byteorder == "little" else ">", big=True)

    def header(body: int) -> bytes:
        numbers = {
            **{
                256: [width],
                257: [height],
                258: [8 * dtype.itemsize] * channels,
                259: [1],
                277: [channels],
            },
            **{278: [rows], 284: [1], 339: [3 if dtype.kind == "f" else 1] * channels},
            _PHOTOMETRIC: [2 if channels >= 3 else 1],  # RGB, or black is zero
            **({_EXTRA_SAMPLES: [2]} if channels in (2, 4) else {}),  # transparency
            273: body + starts * row,
            279: np.minimum(rows, height - starts) * row,
        }
        values = [Value(tag, LONG8, np.asarray(n, "u8").tobytes()) for tag, n in numbers.items()]
        return layout.header(16) + pack({MAIN: values}, layout, 16)[0]

    return header(len(header(0)))


__all__ = [
    "BROKEN",
    "EXIF",
    "GPS",
    "INTEROP",
    "MAIN",
    "Directories",
    "Entry",
    "Layout",
    "Tiff",
    "Value",
    "has_spare",
    "is_lab",
    "join_tiffs",
    "only_first_is_full",
    "pack",
    "raw_tiff_header",
]
