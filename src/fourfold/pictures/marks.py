"""What the bytes of a picture file say that its decoder does not pass on."""

from __future__ import annotations

import struct
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Final

from fourfold.pictures.png import Chunk, is_text, read_chunks
from fourfold.pictures.tiff import has_spare
from fourfold.pictures.vips import vips

_SRGB: Final = (1, 2, 5, 6, 7)
"""Primaries shown as sRGB's: its own, not specified, and those of standard video (ITU-T H.273,
table 2), as browsers do."""
_DISPLAY_P3: Final = 12
_SRGB_CURVE: Final = (1, 2, 6, 13, 14, 15)
"""Video's curve is shown as sRGB's too (H.273, table 3)."""
_HDR: Final = (16, 18)
_STANDARD: Final = {
    b"gAMA": (45455,),
    b"cHRM": (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000),
}
"""sRGB's curve and primaries in these chunks (PNG, 11.3.2)."""
_HEAD: Final = 65536
_MAX_CHUNKS: Final = 1000


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
    early: bool = False
    """The file ends within pixels that the decoder would make black or leave out."""


def read_marks(file: BinaryIO, form: str, page: int = 0) -> Marks:
    """Look into a file of the format `form`; never fails, whatever the bytes are."""
    with suppress(struct.error, OverflowError, ValueError, IndexError):
        if form == "png":
            return _png(file)
        if form == "avif":
            return _heif(file)
        if form == "webp":
            return Marks(lossless=_is_lossless(file))
        if form == "tiff":
            return Marks(spare=has_spare(file, page))
        if form == "gif":
            return Marks(early=_frames_end_early(file))
    return Marks()


def _png(file: BinaryIO) -> Marks:
    chunks = list(read_chunks(file))
    named = dict(chunks)
    notes, profile = tuple[str, ...](), None
    if b"cICP" in named and named.get(b"IHDR", b"\0" * 10)[9] not in (0, 4):  # not grey
        notes, profile = _coded(named[b"cICP"][0], named[b"cICP"][1])
    for name, standard in _STANDARD.items():
        if name in named and not {b"sRGB", b"iCCP", b"cICP"} & named.keys():
            stored = struct.unpack(f">{len(standard)}I", named[name])
            if max(abs(a - b) for a, b in zip(stored, standard, strict=True)) > 500:
                notes = (*notes, f"its {name.decode()} is left out; its colours are taken for sRGB")
    if b"acTL" in named:
        notes = ("an animated PNG: only its first picture is enlarged", *notes)
    return Marks(
        notes=notes,
        profile=profile,
        texts=tuple(chunk for chunk in chunks if is_text(*chunk)),
        resolution=named.get(b"pHYs", b"").endswith(b"\1"),
    )


def _heif(file: BinaryIO) -> Marks:
    """Coded colour description (ISO/IEC 14496-12, 12.1.5)."""
    file.seek(0)
    _, found, codes = file.read(_HEAD).partition(b"colrnclx")
    if not found:
        return Marks()
    notes, profile = _coded(*struct.unpack_from(">HH", codes))
    return Marks(notes=notes, profile=profile)


def _coded(primaries: int, curve: int) -> tuple[tuple[str, ...], bytes | None]:
    """Notes and the profile of a colour mark."""
    if curve in _HDR:
        return ("HDR (PQ or HLG): the numbers are kept, the mark that says so is not",), None
    if curve in _SRGB_CURVE and primaries in _SRGB:
        return (), None
    if curve in _SRGB_CURVE and primaries == _DISPLAY_P3:
        return (), vips().Image.profile_load("p3")
    return (f"its colour mark ({primaries}, {curve}) is not understood; taken for sRGB",), None


def _is_lossless(file: BinaryIO) -> bool:
    """Told by the first chunk with pixels, which a frame of an animation holds inside."""
    file.seek(12)
    for _ in range(_MAX_CHUNKS):
        name, length = struct.unpack("<4sI", file.read(8))
        if name in (b"VP8L", b"VP8 "):
            return bool(name == b"VP8L")
        file.seek(16 if name == b"ANMF" else length + length % 2, 1)
    return False


def _frames_end_early(file: BinaryIO) -> bool:
    """Whether a GIF ends within a block, or after the timing of a frame that is not there.

    libvips leaves out the frame. A file that only lacks its last byte, the trailer, is whole.
    """

    def take(count: int) -> bytes:
        data = file.read(count)
        if len(data) < count:
            raise EOFError
        return data

    def skip_colours(flags: int) -> None:
        take(3 << (flags & 7) + 1 if flags & 0x80 else 0)

    file.seek(0)
    announced = False
    try:
        skip_colours(take(13)[10])
        while (mark := file.read(1)) in (b"!", b","):  # an extension or a frame
            if mark == b"!":
                announced = take(1) == b"\xf9" or announced
            else:
                skip_colours(take(9)[8])
                take(1)
                announced = False
            while length := take(1)[0]:
                take(length)
    except EOFError:
        return True
    return announced and not mark


__all__ = ["Marks", "read_marks"]
