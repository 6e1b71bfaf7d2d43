"""Luma and chroma."""

from __future__ import annotations

import numpy as np

from fourfold.imaging.arrays import AnyImage, Image

# ITU-R BT.601 luma of full-range R'G'B'.
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def luma(image: Image) -> Image:
    """BT.601 luma of `(..., 3)` RGB, full range; neutral pixels keep their value."""
    return image @ _LUMA


def is_neutral(image: AnyImage) -> bool:
    """Whether R = G = B in every pixel of an `(H, W, 3|4)` picture."""
    red, green, blue = (image[..., channel] for channel in range(3))
    return bool(np.array_equal(red, green) and np.array_equal(green, blue))


__all__ = ["is_neutral", "luma"]
