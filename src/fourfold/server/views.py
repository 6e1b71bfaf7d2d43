"""Small WebP views of pictures for a browser, which cannot show every format."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from fourfold.errors import InputError
from fourfold.files.paths import atomic_path
from fourfold.pictures.colour import to_network
from fourfold.pictures.source import Source, open_source, source_image
from fourfold.pictures.vips import reason, vips

SIDES: Final = (160, 2048)
"""Of a thumbnail and of a view that fills a screen."""
_QUALITY: Final = 90


def write_view(source: Path, target: Path, *, side: int, max_pixels: int) -> None:
    """The first page of `source`, at most `side` pixels wide and high, as WebP in sRGB.

    Raises `InputError` for what is no picture or has more than `max_pixels`.
    """
    with open_source(source) as described:
        if described.width * described.height * described.pages > max_pixels:
            raise InputError(f"{source}: has more than {max_pixels} pixels")
        try:
            with source_image(described) as image, atomic_path(target) as part:
                _small(described, image, side).webpsave(str(part), Q=_QUALITY, keep="none")
        except vips().Error as error:
            raise InputError(f"{source}: not a readable picture ({reason(error)})") from error


def _small(source: Source, image: Any, side: int) -> Any:
    shown = to_network(image, source.colour, alpha=source.alpha)
    shown = shown.crop(0, 0, source.stored_width, source.stored_height)
    if max(shown.width, shown.height) > side:
        shown = shown.thumbnail_image(side, height=side, no_rotate=True)
    factor = {"uchar": 1.0, "ushort": 1 / 257}.get(shown.format, 255.0)
    pixels = (shown if factor == 1.0 else shown * factor).cast("uchar").numpy()
    pixels = pixels.reshape(shown.height, shown.width, -1)
    return vips().Image.new_from_array(source.turn.do(pixels).copy())


__all__ = ["SIDES", "write_view"]
