"""PNG as libvips writes it, mended on its way to the file: texts, XMP and the resolution."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import BinaryIO, Final

TEXTS: Final = (b"tEXt", b"zTXt", b"iTXt")
XMP_KEY: Final = b"XML:com.adobe.xmp"
_SIGNATURE: Final = 8
_CHUNK_EDGE: Final = 12
"""Bytes of a chunk besides its data: length, name, checksum."""

Chunk = tuple[bytes, bytes]
"""Name and data."""


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
        place = _SIGNATURE
        chunks: list[Chunk] = []
        while len(head) >= place + 8:
            length, name = struct.unpack_from(">I4s", head, place)
            if name == b"IDAT":
                mended = [found for chunk in chunks for found in self._mended(*chunk)]
                self._file.write(head[:_SIGNATURE])
                for chunk in (*mended, *self._texts):
                    self._file.write(packed(*chunk))
                self._file.write(head[place:])
                self._head = None
                return
            chunks.append((name, bytes(head[place + 8 : place + 8 + length])))
            place += _CHUNK_EDGE + length

    def _mended(self, name: bytes, data: bytes) -> list[Chunk]:
        if name == b"pHYs" and not self._resolution:
            return []
        key, _, packed_text = data.partition(b"\0")
        if name == b"zTXt" and key == XMP_KEY:
            return [(b"iTXt", XMP_KEY + b"\0\0\0\0\0" + zlib.decompress(packed_text[1:]))]
        return [(name, data)]


def packed(name: bytes, data: bytes) -> bytes:
    """A chunk with its length and checksum."""
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


__all__ = ["TEXTS", "XMP_KEY", "Chunk", "PngStream", "packed"]
