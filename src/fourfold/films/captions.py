"""Closed captions inside the picture stream: taken from decoded frames, put into encoded ones.

FFmpeg's encoders take them from a frame's side data, which PyAV cannot set, so they are added to the
packets: as a message about the picture in H.264 and HEVC, as metadata in AV1.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

_FROM_ATSC: Final = b"\xb5\x00\x31GA94\x03"
"""Country, provider and kind of the message that holds captions: ATSC A/53 part 4, 6.2.3."""

_MOST: Final = 31
"""Caption pieces, of three bytes each, that one message can count."""

_SEI_HEADER: Final = {"h264": b"\x06", "hevc": b"\x4e\x01"}
"""Headers of the unit with messages: ITU-T H.264, 7.3.1, type 6; ITU-T H.265, 7.3.1.2, type 39."""

_T35: Final = 4
"""Both a message's type, "registered by ITU-T T.35", and the same kind of metadata in AV1."""

_OBU_METADATA: Final = b"\x2a"
"""AV1, 5.3.2: an open bitstream unit of type 5 that states its size."""
_OBU_LEADING: Final = (1, 2)
"""AV1, 6.2.2: sequence header and temporal delimiter, which come before all others."""

CAPTIONED: Final = ("h264", "hevc", "av1")
"""Codecs that can hold captions."""


def captions_of(frame: Any) -> bytes:
    """Caption data of a decoded frame, three bytes a piece; empty when it has none."""
    return b"".join(bytes(data) for data in frame.side_data if data.type.name == "A53_CC")


def with_captions(packet: bytes, captions: bytes, codec: str) -> bytes:
    """An encoded frame with captions; unchanged without any, or where the codec has no place."""
    if not captions or codec not in CAPTIONED:
        return packet
    size = 3 * _MOST
    pieces = [captions[at : at + size] for at in range(0, len(captions), size)]
    if codec == "av1":
        place, units = _first_frame(packet), b"".join(map(_metadata, pieces))
    else:
        place, units = _first_slice(packet, codec), _message_unit(pieces, codec)
    return packet[:place] + units + packet[place:]


def _payload(piece: bytes) -> bytes:
    # 0x40: captions are to be processed; no other data; a marker ends them.
    return _FROM_ATSC + bytes([0x40 | len(piece) // 3, 0xFF]) + piece + b"\xff"


def _message_unit(pieces: list[bytes], codec: str) -> bytes:
    messages = b""
    for payload in map(_payload, pieces):
        messages += bytes([_T35]) + b"\xff" * (len(payload) // 255)
        messages += bytes([len(payload) % 255]) + payload
    return b"\x00\x00\x00\x01" + _SEI_HEADER[codec] + _guarded(messages + b"\x80")


def _guarded(content: bytes) -> bytes:
    """With a 3 before every byte that would make a start code: ITU-T H.264, 7.4.1."""
    out = bytearray()
    zeros = 0
    for byte in content:
        if zeros >= 2 and byte <= 3:
            out.append(3)
            zeros = 0
        out.append(byte)
        zeros = zeros + 1 if byte == 0 else 0
    return bytes(out)


def _first_slice(packet: bytes, codec: str) -> int:
    """Where the picture itself begins, behind its parameters and other messages."""
    for start in _start_codes(packet):
        header = packet[start + 3]
        is_slice = 1 <= header & 31 <= 5 if codec == "h264" else header >> 1 & 63 < 32
        if is_slice:
            return start - (start > 0 and packet[start - 1] == 0)
    return 0


def _start_codes(packet: bytes) -> Iterator[int]:
    start = packet.find(b"\x00\x00\x01")
    while 0 <= start < len(packet) - 3:
        yield start
        start = packet.find(b"\x00\x00\x01", start + 3)


def _metadata(piece: bytes) -> bytes:
    content = bytes([_T35]) + _payload(piece) + b"\x80"
    return _OBU_METADATA + bytes([len(content)]) + content  # below 128: its size is one byte


def _first_frame(packet: bytes) -> int:
    place = 0
    while place < len(packet) and packet[place] >> 3 & 15 in _OBU_LEADING:
        size = shift = 0
        place += 1 + (packet[place] >> 2 & 1)
        while True:  # AV1, 4.10.5: seven bits a byte, the lowest first
            byte = packet[place]
            size |= (byte & 127) << shift
            place, shift = place + 1, shift + 7
            if not byte & 128:
                break
        place += size
    return place


__all__ = ["CAPTIONED", "captions_of", "with_captions"]
