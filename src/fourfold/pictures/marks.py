"""What the bytes of a picture file say that its decoder does not pass on: colours and channels."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice
from typing import BinaryIO, Final

from fourfold.pictures.directories import read_pages
from fourfold.pictures.png import TEXTS, XMP_KEY, Chunk
from fourfold.pictures.profiles import marked_profile

Chromaticities = tuple[float, ...]
"""x and y of red, green, blue and white."""

_D65: Final = (0.3127, 0.3290)
_SRGB: Final = (0.640, 0.330, 0.300, 0.600, 0.150, 0.060, *_D65)
_PRIMARIES: Final[Mapping[int, Chromaticities]] = {
    1: _SRGB,
    2: _SRGB,  # not specified
    5: (0.640, 0.330, 0.290, 0.600, 0.150, 0.060, *_D65),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070, *_D65),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046, *_D65),
    11: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, 0.314, 0.351),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060, *_D65),
}
"""ITU-T H.273, table 2."""

_GAMMAS: Final[Mapping[int, float | None]] = {
    **dict.fromkeys((1, 2, 6, 13, 14, 15)),  # video's curve is shown as sRGB's, as browsers do
    4: 2.2,
    5: 2.8,
    8: 1.0,
}
"""H.273, table 3; None for sRGB's curve."""

_HDR: Final = (16, 18)
_HEAD: Final = 65536
_MAX_CHUNKS: Final = 1000
_MAX_TEXT: Final = 16_000_000
"""Bytes of all texts of a PNG that are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """Found in the file, not in the decoder's header."""

    notes: tuple[str, ...] = ()
    profile: bytes | None = None
    """The marked colours as an ICC profile; None for sRGB. An embedded profile goes before it."""
    lossless: bool = False
    """WebP whose pixels are stored exactly."""
    texts: tuple[Chunk, ...] = ()
    """Of a PNG, as stored, without XMP."""
    resolution: bool = False
    """PNG that says how large a pixel is."""
    spare: bool = False
    """TIFF whose first channel after the colours is said to mean nothing."""


def read_marks(file: BinaryIO, form: str, page: int = 0) -> Marks:
    """Look into a file of the format `form`; never fails, whatever the bytes are."""
    file.seek(0)
    try:
        if form == "png":
            return _png(file)
        if form == "avif":
            return _heif(file.read(_HEAD))
        if form == "webp":
            return Marks(lossless=_is_lossless(file))
        if form == "tiff":
            return Marks(spare=_has_spare(file, page))
    except (struct.error, OverflowError, ValueError, KeyError):
        pass
    finally:
        file.seek(0)
    return Marks()


def _png(file: BinaryIO) -> Marks:
    all_chunks = list(_chunks(file))
    chunks = dict(all_chunks)
    notes: tuple[str, ...] = ()
    if b"acTL" in chunks:
        notes = ("an animated PNG: only its first picture is enlarged",)
    marks = Marks(
        notes=notes,
        texts=tuple((name, data) for name, data in all_chunks if _is_text(name, data)),
        resolution=chunks.get(b"pHYs", b"").endswith(b"\1"),
    )
    return _png_colours(marks, chunks)


def _is_text(name: bytes, data: bytes) -> bool:
    key, end, _ = data[:80].partition(b"\0")
    return name in TEXTS and bool(key and end) and key != XMP_KEY


def _png_colours(marks: Marks, chunks: Mapping[bytes, bytes]) -> Marks:
    grey = chunks[b"IHDR"][9] in (0, 4) if b"IHDR" in chunks else False
    if b"cICP" in chunks:
        found = _coded(chunks[b"cICP"][0], chunks[b"cICP"][1], grey=grey)
        return replace(marks, profile=found.profile, notes=(*marks.notes, *found.notes))
    if b"iCCP" in chunks or b"sRGB" in chunks or not {b"gAMA", b"cHRM"} & chunks.keys():
        return marks
    gamma: float | None = None
    if b"gAMA" in chunks:
        (stored,) = struct.unpack(">I", chunks[b"gAMA"])
        if not 10_000 <= stored <= 200_000:
            return replace(marks, notes=(*marks.notes, "its gamma makes no sense; taken for sRGB"))
        # 1/2.2 is how sRGB's curve is written in this chunk (PNG, 11.3.2.5).
        gamma = None if abs(stored - 45455) <= 500 else 100_000 / stored
    places = _SRGB
    if b"cHRM" in chunks:
        stored_places = struct.unpack(">8I", chunks[b"cHRM"])
        places = tuple(value / 100_000 for value in (*stored_places[2:], *stored_places[:2]))
    return replace(marks, profile=_profile(places, gamma, grey=grey))


def _chunks(file: BinaryIO) -> Iterator[tuple[bytes, bytes]]:
    """(name, data) of each chunk before the pixels; only texts beyond 64 bytes."""
    file.seek(8)
    left = _MAX_TEXT
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IDAT":
            return
        (length,) = struct.unpack(">I", head[:4])
        place = file.tell()
        if head[4:] in TEXTS:
            if length <= left:
                left -= length
                yield head[4:], file.read(length)
        else:
            yield head[4:], file.read(min(length, 64))
        file.seek(place + length + 4)


def _heif(head: bytes) -> Marks:
    """Coded colour description (ISO/IEC 14496-12, 12.1.5)."""
    place = head.find(b"colrnclx")
    if place < 0:
        return Marks()
    primaries, transfer = struct.unpack_from(">HH", head, place + 8)
    return _coded(primaries, transfer, grey=False)


def _coded(primaries: int, transfer: int, *, grey: bool) -> Marks:
    if transfer in _HDR:
        return Marks(notes=("HDR (PQ or HLG): the numbers are kept, the mark that says so is not",))
    if primaries not in _PRIMARIES or transfer not in _GAMMAS:
        mark = f"its colour mark ({primaries}, {transfer}) is not understood; taken for sRGB"
        return Marks(notes=(mark,))
    return Marks(profile=_profile(_PRIMARIES[primaries], _GAMMAS[transfer], grey=grey))


def _profile(places: Chromaticities, gamma: float | None, *, grey: bool) -> bytes | None:
    standard = max(abs(a - b) for a, b in zip(places, _SRGB, strict=True)) < 0.002
    if gamma is None and (grey or standard):
        return None
    return marked_profile(None if grey else places, gamma)


def _is_lossless(file: BinaryIO) -> bool:
    """Told by the first chunk with pixels, which a frame of an animation holds inside."""
    file.seek(12)
    for _ in range(_MAX_CHUNKS):
        name, length = struct.unpack("<4sI", file.read(8))
        if name in (b"VP8L", b"VP8 "):
            return bool(name == b"VP8L")
        inside = 16 if name == b"ANMF" else length + length % 2
        file.seek(inside, 1)
    return False


_EXTRA: Final = 338


def _has_spare(file: BinaryIO, page: int) -> bool:
    """ExtraSamples of 0: neither kind of transparency (TIFF 6.0, section 18)."""
    for layout, tags in islice(read_pages(file), page, page + 1):
        _, kind, count, value = tags.get(_EXTRA, (0, 0, 0, b""))
        zero = kind == 3 and count == 1 and struct.unpack_from(layout.order + "H", value)[0] == 0
        return bool(zero)
    return False


__all__ = ["Marks", "read_marks"]
