"""PNG chunks: those before the pixels read, and libvips's mended on their way to the file."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

_TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")
_XMP_KEY: Final = b"XML:com.adobe.xmp"
_SIGNATURE: Final = 8
_MAX_CHUNKS: Final = 1000
_MAX_TEXT: Final = 16_000_000
"""Bytes of all texts that are kept."""

Chunk = tuple[bytes, bytes]
"""Name and data."""


def is_text(name: bytes, data: bytes) -> bool:
    """Whether a chunk is a text of its own, and not XMP."""
    key, end, _ = data[:80].partition(b"\0")
    return name in _TEXTS and bool(key and end) and key != _XMP_KEY


def read_chunks(file: BinaryIO) -> Iterator[Chunk]:
    """The chunks before the pixels; only of texts more than 64 bytes."""
    file.seek(_SIGNATURE)
    left = _MAX_TEXT
    for _ in range(_MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8 or head[4:] == b"IDAT":
            return
        length, name = struct.unpack(">I4s", head)
        after = file.tell() + length + 4
        if name not in _TEXTS:
            yield name, file.read(min(length, 64))
        elif length <= left:
            left -= length
            yield name, file.read(length)
        file.seek(after)


class PngStream:
    """Passes a PNG on to `file`.

    libvips cuts keywords at spaces, takes UTF-8 for Latin 1, compresses XMP where few readers look
    for it, and invents a resolution. `texts` are written as they are; `resolution` tells whether
    there is one.
    """

    def __init__(self, file: BinaryIO, *, texts: Iterable[Chunk], resolution: bool) -> None:
        self._file, self._texts, self._resolution = file, tuple(texts), resolution
        self._head: bytearray | None = bytearray()
        self.error: OSError | None = None
        """Why writing failed; libvips only knows that it did."""

    def write(self, data: bytes) -> int:
        """For libvips: how much was taken, -1 for an error."""
        try:
            if self._head is None:
                self._file.write(data)
            else:
                self._head += data
                self._pass_chunks(self._head)
        except OSError as error:
            self.error = error
            return -1
        return len(data)

    def _pass_chunks(self, head: bytearray) -> None:
        """Hold back until the first chunk of pixels begins."""
        place, mended = _SIGNATURE, bytes(head[:_SIGNATURE])
        while len(head) >= place + 8:
            length, name = struct.unpack_from(">I4s", head, place)
            if name == b"IDAT":
                texts = b"".join(packed(*chunk) for chunk in self._texts)
                self._file.write(mended + texts + head[place:])
                self._head = None
                return
            mended += self._mended(name, bytes(head[place + 8 : place + 8 + length]))
            place += 12 + length

    def _mended(self, name: bytes, data: bytes) -> bytes:
        if name == b"pHYs" and not self._resolution:
            return b""
        key, _, text = data.partition(b"\0")
        if name == b"zTXt" and key == _XMP_KEY:
            return packed(b"iTXt", _XMP_KEY + b"\0\0\0\0\0" + zlib.decompress(text[1:]))
        return packed(name, data)


def packed(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


__all__ = ["Chunk", "PngStream", "is_text", "packed", "read_chunks"]
