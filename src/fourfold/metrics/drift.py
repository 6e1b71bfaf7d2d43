"""Faults that PSNR hides: colour that shifts, and results that do not match their input."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import ImageContractError
from fourfold.imaging.resize import imresize
from fourfold.metrics.psnr import psnr


def color_drift(sr: npt.NDArray[Any], hr: npt.NDArray[Any]) -> float:
    """Largest difference of a channel's mean, in the unit of the pictures; 0 = no drift.

    Both are `(H, W, C)` of one shape, else `ImageContractError`.

    >>> grey = np.full((4, 4, 3), 100, np.uint8)
    >>> color_drift(grey + np.array([4, 0, 1], np.uint8), grey)
    4.0
    """
    if sr.shape != hr.shape or sr.ndim != 3 or not sr.size:
        raise ImageContractError(
            f"color_drift: want two (H, W, C) of one shape, got {sr.shape}, {hr.shape}"
        )
    shift = sr.mean(axis=(0, 1), dtype=np.float64) - hr.mean(axis=(0, 1), dtype=np.float64)
    return float(np.abs(shift).max())


def consistency_psnr(sr: npt.NDArray[np.uint8], lr: npt.NDArray[np.uint8], *, scale: int) -> float:
    """How well `sr` made small again equals its input: PSNR in dB over all channels and pixels.

    `sr` is uint8 of `scale` times the size of `lr`. Downscaled by MATLAB's bicubic and rounded to
    8 bits; 49.9 dB is a mean squared error of 2/3 of one grey level. `ImageContractError` when the
    sizes do not fit.
    """
    if sr.shape[:2] != (lr.shape[0] * scale, lr.shape[1] * scale):
        raise ImageContractError(
            f"consistency: want {scale} times {lr.shape[:2]}, got {sr.shape[:2]}"
        )
    return psnr(imresize(sr, size=(lr.shape[0], lr.shape[1])), lr)


__all__ = ["color_drift", "consistency_psnr"]
