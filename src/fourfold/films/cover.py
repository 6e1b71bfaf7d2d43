"""Cover art: a video stream of one picture in MP4, an attached file in Matroska."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fourfold.films.probe import ATTACHED_PICTURE, open_input

_KINDS: Final = {"mjpeg": ("image/jpeg", "jpg"), "png": ("image/png", "png")}
"""Codecs that Matroska readers know as pictures: media type and suffix."""


def is_cover(stream: Any) -> bool:
    """Whether a stream is a picture that goes with the film and is not part of it."""
    return stream.type == "video" and bool(int(stream.disposition) & ATTACHED_PICTURE)


def attach_cover(path: Path, stream: Any, out: Any) -> bool:
    """Attach the cover `stream` of the film at `path` to a Matroska file, before its header.

    False where `out` holds no attachments, or the picture is of no kind its readers know.
    """
    context = stream.codec_context
    kind = None if context is None else _KINDS.get(context.name)
    if not is_cover(stream) or kind is None or out.format.name != "matroska":
        return False
    with open_input(path) as source:
        packets = source.demux(source.streams[stream.index])
        data = next((bytes(packet) for packet in packets if packet.size), b"")
    if not data:
        return False
    media_type, suffix = kind
    tags = {key.lower(): text for key, text in stream.metadata.items()}
    out.add_attachment(tags.get("filename", f"cover.{suffix}"), media_type, data)
    return True


__all__ = ["attach_cover", "is_cover"]
