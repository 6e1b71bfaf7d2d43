"""Luma, in the two meanings this package needs, and chroma."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ImageContractError
from fourfold.imaging.arrays import AnyImage, Image

LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601 luma of full-range R'G'B'."""

# ITU-R BT.601 for R, G, B in [0, 1] and Y in [16, 235], with the three decimals of MATLAB's
# rgb2ycbcr. The variant divided by 256 (65.738, 129.057, 25.064) gives other scores.
BT601_WEIGHTS: Final = (65.481, 128.553, 24.966)
BT601_OFFSET: Final = 16.0


def luma(image: Image) -> Image:
    """BT.601 luma of `(..., 3)` RGB, full range; neutral pixels keep their value."""
    return image @ LUMA


def is_neutral(image: AnyImage) -> bool:
    """Whether R = G = B in every pixel of an `(H, W, 3|4)` picture."""
    red, green, blue = (image[..., channel] for channel in range(3))
    return bool(np.array_equal(red, green) and np.array_equal(green, blue))


def rgb_to_y(rgb: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """The luma scores are computed on: `(H, W)` in [16, 235], not rounded.

    `rgb` is uint8 `(H, W, 3)`, else `ImageContractError`.
    MATLAB rounds when it is given uint8 and does not when given doubles; the scores in use today
    are computed on doubles, so this does not round either.

    >>> rgb_to_y(np.array([[[0, 0, 0], [255, 255, 255]]], np.uint8)).round(6)
    array([[ 16., 235.]])
    """
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise ImageContractError(
            f"rgb_to_y: want uint8 (H, W, 3), got {rgb.dtype} {rgb.shape}; "
            "repeat a grey channel three times first"
        )
    red, green, blue = (weight / 255 for weight in BT601_WEIGHTS)
    # Channel by channel: a product over the last axis of length 3 is several times slower.
    return BT601_OFFSET + red * rgb[..., 0] + green * rgb[..., 1] + blue * rgb[..., 2]


__all__ = ["BT601_OFFSET", "BT601_WEIGHTS", "LUMA", "is_neutral", "luma", "rgb_to_y"]
