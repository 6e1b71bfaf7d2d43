"""A part of a picture to judge it by, read without the rest."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np

from fourfold.imaging.arrays import Image
from fourfold.pictures.colour import to_network
from fourfold.pictures.jpeg_tables import HEADER, header_quality, read_jpeg_quality
from fourfold.pictures.source import Source, source_image
from fourfold.pictures.vips import DTYPES

_DECODED: Final = 50_000_000
"""Pixels that may be decoded on the way to the part: about a second. Of larger pictures it lies above
the middle."""


def read_sample(source: Source, side: int) -> Image | None:
    """The middle of the first page, at most `side` pixels wide and high, not turned.

    float32 `(h, w, 1|3)` in [0, 1], colour as the network gets it, what is transparent blended with
    grey; None for numbers that are not finite. Raises as `source_image` and libvips do.
    """
    with source_image(replace(source, pages=1)) as file_image:
        image = to_network(file_image, source.colour, alpha=source.alpha)
        width, height = min(side, image.width), min(side, source.stored_height)
        above = max(0, _DECODED // image.width - height)
        top, left = min((source.stored_height - height) // 2, above), (image.width - width) // 2
        part = image.crop(left, top, width, height)
        if part.format not in DTYPES:
            part = part.cast("float")
        pixels: Any = part.numpy().reshape(height, width, -1)
    largest = {"uint8": 255.0, "uint16": 65535.0}.get(pixels.dtype.name)
    if largest is None:
        if not np.isfinite(pixels).all():
            return None
        largest = max(1.0, float(pixels.max()))
    found: Image = np.clip(pixels / np.float32(largest), 0, 1).astype(np.float32)
    if source.alpha:
        alpha = found[..., -1:]
        found = (found[..., :-1] * alpha + (1 - alpha) / 2).astype(np.float32)
    return found


def quality_of(source: Source) -> int | None:
    """JPEG quality as the header tells it; None for other formats."""
    if source.content is not None:
        return header_quality(source.content[:HEADER])
    return read_jpeg_quality(source.path)


__all__ = ["quality_of", "read_sample"]
