"""Frames of a segment at work, kept without loss, so that a killed run need not compute them again.

They are those the film's own encoder gets, so that it gives the same packets for them later.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from fourfold.films.encode import Encoding, mark_colours
from fourfold.films.packets import EncodedPacket, Segment, Stamp
from fourfold.films.pyav import load_av

_CODEC: Final = "ffvhuff"
"""Knows every format that is encoded, and packs 300 to 500 megapixels a second on one core into 0.4
to 0.7 bytes a pixel; FFV1 makes them a third of that, at a fifth to an eighth of the speed."""


class Keeper:
    """Packs frames one by one; `take` hands over those since the last time."""

    def __init__(self, encoding: Encoding) -> None:
        self._context = _context(encoding, "w")
        self._context.options = {"pred": "median"}
        self._context.open()
        self._stamps: list[Stamp] = []
        self._packets: list[EncodedPacket] = []

    def add(self, frame: Any, stamp: Stamp) -> None:
        """Pack a frame that has been made for the encoding."""
        self._stamps.append(stamp)
        for packet in self._context.encode(frame):
            self._packets.append(EncodedPacket(packet.pts, packet.pts, True, bytes(packet)))

    def take(self) -> Segment:
        """Frames added since the last call."""
        taken = Segment(self._stamps, self._packets, bytes(self._context.extradata))
        self._stamps, self._packets = [], []
        return taken


def kept_frames(kept: Segment, encoding: Encoding) -> Iterator[tuple[Any, Stamp]]:
    """The frames in what a `Keeper` has handed over, exactly as they were."""
    av = load_av()
    context = _context(encoding, "r")
    context.extradata = kept.extradata
    for packet, stamp in zip(kept.packets, kept.frames, strict=True):
        (frame,) = context.decode(av.Packet(packet.data))
        mark_colours(frame, encoding.colour)
        frame.pict_type = 0  # else the film's encoder makes a key frame of each, as it was here
        yield frame, stamp


def _context(encoding: Encoding, mode: str) -> Any:
    context = load_av().CodecContext.create(_CODEC, mode)
    context.width, context.height = encoding.width, encoding.height
    context.pix_fmt = encoding.pixel_format
    context.thread_count = 1
    if mode == "w":
        context.time_base = encoding.time_base
    return context


__all__ = ["Keeper", "kept_frames"]
