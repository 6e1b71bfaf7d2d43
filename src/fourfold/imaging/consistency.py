"""One step of back-projection: make the enlarged picture agree with the one it came from."""

from __future__ import annotations

from typing import Final

from fourfold.imaging.arrays import Image
from fourfold.imaging.resize import imresize

CONSISTENCY_HALO: Final = 4
"""LR pixels of context a result pixel depends on: the antialiased bicubic reads 2 on each side on
the way down (4 taps, stretched by the scale), the bicubic 2 more on the way up."""


def back_project(sr: Image, lr: Image) -> Image:
    """`sr + bicubic_up(lr - bicubic_down(sr))`, both float `(..., C)` images, sr a multiple of lr.

    Removes colour drift and brings back what the downscaled result must equal (Irani and Peleg
    1991). The result is not clipped.
    """
    residual = lr - imresize(sr, size=lr.shape[:2])
    corrected: Image = sr + imresize(residual, size=sr.shape[:2])
    return corrected


__all__ = ["CONSISTENCY_HALO", "back_project"]
