"""From a described picture file to pixels the network path can read by region."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import InputError
from fourfold.imaging.color import is_neutral
from fourfold.pictures.colour import to_network
from fourfold.pictures.source import Source, source_image
from fourfold.pictures.store import PixelStore
from fourfold.pictures.vips import DTYPES, rows_of

Array = npt.NDArray[Any]

_UNIT: Final = (0.0, 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoded:
    """The pixels of all pages, stored one below the other as the file has them (not turned).

    uint8, uint16 or float32; colour as the network wants it.
    """

    store: PixelStore
    neutral: bool
    """Whether a picture in RGB has R = G = B everywhere."""
    value_range: tuple[float, float]
    """What 0 and 1 stand for in a float store; (0, 1) for integers."""

    def close(self) -> None:
        """Free the pixels."""
        self.store.close()


def decode(
    source: Source, *, folder: Path, in_memory: int, stop: threading.Event | None = None
) -> Decoded:
    """Decode once, from top to bottom, into a store; scratch files go to `folder`.

    Raises `InputError` for truncated and broken files, `OutputError` when scratch cannot be
    written, `InterruptedError` when `stop` is set meanwhile.
    """
    with source_image(source) as file_image:
        image = to_network(file_image, source.colour, alpha=source.alpha)
        # Grey or RGB with a channel that means nothing here has been refused from the header.
        if image.format not in DTYPES:
            image = image.cast("float")
        _check_unchanged(source, image)
        shape = (image.height, image.width, image.bands)
        store = PixelStore(shape, DTYPES[image.format], folder=folder, in_memory=in_memory)
        try:
            return _fill(source, image, store, stop)
        except BaseException:
            store.close()
            raise


def _check_unchanged(source: Source, image: Any) -> None:
    want = (source.stored_width, source.stored_height * source.pages, source.channels)
    if (image.width, image.height, image.bands) != want:
        raise InputError(f"{source.path}: its pages differ in size or kind; split them first")


def _fill(source: Source, image: Any, store: PixelStore, stop: threading.Event | None) -> Decoded:
    neutral = image.bands >= 3
    low, high = _UNIT
    for top, raw in rows_of(image):
        if stop is not None and stop.is_set():
            raise InterruptedError
        strip = np.frombuffer(raw, store.dtype).reshape(-1, image.width, image.bands)
        neutral = neutral and is_neutral(strip)
        if store.dtype == np.float32:
            low, high = _widen(low, high, strip, source)
        store.write(top, 0, strip)
    return Decoded(store=store, neutral=neutral, value_range=(low, high))


def _widen(low: float, high: float, strip: Array, source: Source) -> tuple[float, float]:
    if not np.isfinite(strip).all():
        raise InputError(f"{source.path}: holds NaN or infinity; want finite numbers")
    low, high = min(low, float(strip.min())), max(high, float(strip.max()))
    if source.alpha and (low, high) != _UNIT:
        raise InputError(f"{source.path}: floats with alpha outside 0 to 1; want 0 to 1")
    return low, high


def whole_array(source: Source, *, as_rgb: bool = False) -> Array:
    """The first page as an array, upright, in the file's own numbers and type, `(H, W, C)`.

    With `as_rgb`, CMYK, Lab and their like become sRGB; profiles do not count.
    """
    with source_image(source) as image:
        converted = as_rgb and image.interpretation in ("cmyk", "lab", "labs", "xyz", "hsv")
        shown = image.colourspace("srgb") if converted else image
        page = shown.crop(0, 0, source.stored_width, source.stored_height)
        pixels: Array = page.numpy()
    pixels = pixels.reshape(source.stored_height, source.stored_width, -1)
    return np.ascontiguousarray(source.turn.do(pixels))


__all__ = ["Decoded", "decode", "whole_array"]
