"""Transparency: colours for hidden pixels, and edges that stay exact."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.imaging.arrays import Image

FILL_RADII: Final = (1, 2, 4, 8, 16)
"""A hidden pixel takes the mean of the visible ones in the smallest of these squares that has any."""

FILL_HALO: Final = FILL_RADII[-1]
_FAR: Final = np.float32(0.5)


def extend_colour(colour: Image, alpha: Image) -> Image:
    """Give fully transparent pixels the colour of the nearest visible ones.

    What stands under transparency is arbitrary (often black) and would bleed over the edge as a
    dark fringe once a network mixes neighbours. Pixels farther than 16 from anything visible
    become mid-grey, so that the result of a window equals that of the whole picture.

    Args:
        colour: `(H, W, C)` in [0, 1], not premultiplied.
        alpha: `(H, W)` in [0, 1].
    """
    hidden = alpha <= 0
    if not hidden.any():
        return colour
    visible = (~hidden).astype(np.float32)
    weighted = colour * visible[..., None]
    filled = np.where(hidden[..., None], _FAR, colour)
    left = hidden.copy()
    for radius in FILL_RADII:
        count = _box_sum(visible[..., None], radius)[..., 0]
        reached = left & (count > 0.5)
        if reached.any():
            total = _box_sum(weighted, radius)
            filled[reached] = total[reached] / count[reached][:, None]
            left &= ~reached
        if not left.any():
            break
    return filled


def keep_plateaus(alpha_sr: Image, alpha_lr: Image) -> Image:
    """Set enlarged alpha to exactly the source's where that is the same in 3x3 pixels.

    Networks put texture on flat fields; in transparency, opaque, clear or in between, it would
    be noise.

    Args:
        alpha_sr: `(H * s, W * s)`, what a network or resizer made.
        alpha_lr: `(H, W)`, the source.
    """
    scale = alpha_sr.shape[0] // alpha_lr.shape[0]
    around = np.lib.stride_tricks.sliding_window_view(np.pad(alpha_lr, 1, mode="edge"), (3, 3))
    plateau = around.max((2, 3)) == around.min((2, 3))
    flat = _enlarge(plateau, scale)
    result: Image = np.where(flat, _enlarge(alpha_lr, scale), np.clip(alpha_sr, 0, 1))
    return result


def _enlarge(values: npt.NDArray[Any], scale: int) -> npt.NDArray[Any]:
    return values.repeat(scale, axis=0).repeat(scale, axis=1)


def _box_sum(values: Image, radius: int) -> Image:
    """Sum over the square of `2 * radius + 1` around each pixel, zeros beyond the edge."""
    result = values.astype(np.float64)
    for axis in (0, 1):
        pad = [(0, 0)] * 3
        pad[axis] = (radius + 1, radius)
        total = np.cumsum(np.pad(result, pad), axis=axis)
        width = 2 * radius + 1
        upper = np.take(total, range(width, total.shape[axis]), axis=axis)
        lower = np.take(total, range(total.shape[axis] - width), axis=axis)
        result = upper - lower
    return result.astype(np.float32)


__all__ = ["FILL_HALO", "extend_colour", "keep_plateaus"]
