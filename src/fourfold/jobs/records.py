"""What made a result, written into the result: a few bytes at its end that every format allows.

PNG, JPEG, WebP, AVIF, MP4 and Matroska have a place for what other programs skip; of TIFF and GIF
nobody reads what follows the last part. A program that edits the result leaves the record out.
Nothing about the user, the machine or the time is in it, so equal work gives equal bytes; of the
input there is a mark of its content, by which a changed one is seen.
"""

from __future__ import annotations

import json
import os
import struct
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

from fourfold.engine.upscaler import Upscaler
from fourfold.files.content import content_mark
from fourfold.jobs.request import Request

FORMAT: Final = 1
"""Raised when results of an earlier version would differ under the same settings."""

_MARK: Final = b"fourfold-result:"
"""16 bytes, so that it can be the name of a `uuid` box (ISO/IEC 14496-12, 4.2)."""
_LONGEST: Final = 4096
_PNG_END: Final = b"\0\0\0\0IEND\xaeB`\x82"
_PNG_CHUNK: Final = b"foRC"
"""Ancillary, private, and unsafe to copy for programs that change pixels (PNG, 5.4)."""

Record = Mapping[str, Any]


def engine_record(upscaler: Upscaler) -> Record:
    """What of an engine changes pixels, the precision aside."""
    return {
        "version": FORMAT,
        "model": upscaler.network.name,
        "weights": upscaler.network.sha256[:16],
        "tta": upscaler.tta,
        "consistency": upscaler.consistency,
    }


def input_record(request: Request) -> Record:
    """What was enlarged; nothing for standard input, which is read once."""
    source = request.source if isinstance(request.source, bytes) else request.path
    return {} if source is None else {"input": content_mark(source)}


def write_record(part: Path, record: Record) -> None:
    """Add `record` at the end of the finished picture or film `part`."""
    data = _MARK + json.dumps(record, sort_keys=True, separators=(",", ":")).encode("ascii")
    with part.open("r+b") as file:
        head = file.read(1 << 16)
        if head.startswith(b"\x89PNG"):
            _replace_end(file, _PNG_END, _chunk(data) + _PNG_END)
        elif head.startswith(b"\xff\xd8") and b"MPF\0" not in head:
            comment = b"\xff\xfe" + struct.pack(">H", len(data) + 2) + data
            _replace_end(file, b"\xff\xd9", comment + b"\xff\xd9")
        elif head[:4] == b"RIFF":
            file.seek(0, os.SEEK_END)
            file.write(b"FFLD" + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2))
            size = file.tell() - 8
            file.seek(4)
            file.write(struct.pack("<I", size))
        elif head[4:8] == b"ftyp":
            _append(file, struct.pack(">I", len(data) + 8) + b"uuid" + data)
        elif head[:4] == b"\x1aE\xdf\xa3":  # EBML; an element Void with a length of 8 bytes
            void = b"\xec" + struct.pack(">Q", len(data) | 1 << 56) + data
            _lengthen_segment(file, head, len(void))
            _append(file, void)
        else:  # TIFF, GIF, and JPEG of several pictures, which knows the length of each
            _append(file, data)


def _chunk(data: bytes) -> bytes:
    checked = _PNG_CHUNK + data
    return struct.pack(">I", len(data)) + checked + struct.pack(">I", zlib.crc32(checked))


def _lengthen_segment(file: BinaryIO, head: bytes, more: int) -> None:
    """Count `more` bytes to the one segment of a Matroska file, where its length is stated."""
    place = head.find(b"\x18\x53\x80\x67\x01") + 4  # an ID, then a length of 8 bytes (RFC 8794)
    (length,) = struct.unpack_from(">Q", head, place)
    if place > 4 and length != (1 << 57) - 1:
        file.seek(place)
        file.write(struct.pack(">Q", length + more))


def _append(file: BinaryIO, data: bytes) -> None:
    file.seek(0, os.SEEK_END)
    file.write(data)


def _replace_end(file: BinaryIO, end: bytes, new: bytes) -> None:
    """Put `new` where the file ends with `end`; behind it all where it does not."""
    file.seek(-len(end), os.SEEK_END)
    if file.read() == end:
        file.seek(-len(end), os.SEEK_END)
    file.write(new)


def read_record(path: Path) -> Record | None:
    """The record of a result; None for a file without one, or that cannot be read."""
    try:
        if not path.is_file():  # a pipe would be waited for
            return None
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _LONGEST))
            _, mark, text = file.read().rpartition(_MARK)
        record = json.JSONDecoder().raw_decode(text.decode("latin-1"))[0] if mark else None
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def described(path: Path) -> tuple[int, int, str]:
    """Width, height and model of a result by its record; zeros and nothing where it has none."""
    match read_record(path):
        case {"size": [int(width), int(height)], "model": str(model)}:
            return width, height, model
    return 0, 0, ""


def difference(made: Record, wanted: Record) -> str | None:
    """In words, what another result stands there; None when `made` is what is wanted.

    Records of versions that noted no input say nothing about it.
    """
    parts = [
        f"{name} {_shown(made.get(name))} (now {_shown(wanted.get(name))})"
        for name in sorted({*made, *wanted} - {"input"})
        if made.get(name) != wanted.get(name)
    ]
    changed = len({made.get("input"), wanted.get("input")} - {None}) == 2
    inputs = ["a result of another input, or of this one before it changed"] if changed else []
    settings = [f"a result of other settings, with {', '.join(parts)}"] if parts else []
    return " and ".join([*inputs, *settings]) or None


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "x".join(map(str, value))
    if value is None:
        return "default"
    return ("on" if value else "off") if isinstance(value, bool) else str(value)


__all__ = [
    "FORMAT",
    "Record",
    "described",
    "difference",
    "engine_record",
    "input_record",
    "read_record",
    "write_record",
]
