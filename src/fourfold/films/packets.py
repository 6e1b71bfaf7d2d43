"""A finished stretch of encoded film as a file: time stamps exact, whole or absent.

Layout: magic, the length of a JSON head, the head (frame times, then sizes and stamps of the
packets), the packets' bytes one after another, and the CRC-32 of everything before it.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from fourfold.errors import InputError
from fourfold.files.paths import atomic_path

_MAGIC: Final = b"fourfold-film-2\n"
_LENGTH: Final = struct.Struct("<I")


class Stamp(NamedTuple):
    """When a frame is shown, in units of the film's time base."""

    pts: int
    duration: int
    captions: bytes = b""
    """Closed captions that come with it, three bytes a piece."""


class EncodedPacket(NamedTuple):
    """One encoded frame."""

    pts: int
    dts: int
    keyframe: bool
    data: bytes


@dataclass(frozen=True, slots=True)
class Segment:
    """Consecutive frames encoded on their own: the first packet is a key frame."""

    frames: Sequence[Stamp]
    """In order of showing."""
    packets: Sequence[EncodedPacket]
    """In order of decoding."""
    extradata: bytes = b""
    """What a decoder needs beforehand; empty where the film's header holds it."""


def write_segment(segment: Segment, path: Path) -> None:
    """Write to disk and flush; the file appears by rename. `OutputError` when it cannot."""
    head = {
        "frames": [[s.pts, s.duration, s.captions.hex()] for s in segment.frames],
        "packets": [[p.pts, p.dts, int(p.keyframe), len(p.data)] for p in segment.packets],
        "extradata": segment.extradata.hex(),
    }
    text = json.dumps(head, separators=(",", ":")).encode()
    content = b"".join([_MAGIC, _LENGTH.pack(len(text)), text, *(p.data for p in segment.packets)])
    with atomic_path(path) as part:
        part.write_bytes(content + _LENGTH.pack(zlib.crc32(content)))


def read_segment(path: Path) -> Segment:
    """The segment in a file; `InputError` unless it is whole."""
    content = path.read_bytes()
    body, check = content[: -_LENGTH.size], content[-_LENGTH.size :]
    if not content.startswith(_MAGIC) or _LENGTH.pack(zlib.crc32(body)) != check:
        raise InputError(f"{path}: a damaged segment; delete it and run the command again")
    start = len(_MAGIC) + _LENGTH.size
    (length,) = _LENGTH.unpack(body[len(_MAGIC) : start])
    head = json.loads(body[start : start + length])
    packets, position = [], start + length
    for pts, dts, keyframe, size in head["packets"]:
        data = body[position : position + size]
        packets.append(EncodedPacket(pts, dts, bool(keyframe), data))
        position += size
    stamps = [Stamp(pts, span, bytes.fromhex(text)) for pts, span, text in head["frames"]]
    return Segment(stamps, packets, bytes.fromhex(head["extradata"]))


__all__ = ["EncodedPacket", "Segment", "Stamp", "read_segment", "write_segment"]
