"""The one protocol every score of this package follows. docs/scoring.md gives the reasons."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.errors import ImageContractError
from fourfold.imaging.color import rgb_to_y
from fourfold.metrics.drift import color_drift
from fourfold.metrics.psnr import psnr
from fourfold.metrics.ssim import WINDOW, ssim

PROTOCOL: Final = {
    "name": "fourfold-1",
    "rounding": "8 bit before scoring",
    "y": "BT.601 studio swing from 8-bit RGB, not rounded",
    "shave": "scale pixels on each side",
    "peak": 255,
    "ssim": "Gaussian window 11x11, sigma 1.5, K1 0.01, K2 0.03, valid; RGB: mean of channels",
    "mean": "per picture, then over pictures",
    "grey": "repeated to RGB",
    "hr_crop": "bottom and right, to a multiple of the scale",
    "drift": "largest difference of a channel's mean, of 255, not shaved",
    "consistency_psnr": "RGB PSNR of bicubically downscaled SR against LR, not shaved",
}
"""What the figures mean, stored beside them."""


class Scores(NamedTuple):
    """Scores of one picture; PSNR in dB, SSIM up to 1, drift in grey levels of 255."""

    psnr_y: float
    ssim_y: float
    psnr_rgb: float
    ssim_rgb: float
    drift: float


def score_pair(
    sr_uint8: npt.NDArray[np.uint8], hr_uint8: npt.NDArray[np.uint8], *, scale: int
) -> Scores:
    """Score `sr_uint8` against `hr_uint8`, both `(H, W)` or `(H, W, 3)` uint8 of one size.

    `scale` pixels are cut from each side first (not for drift). `ImageContractError` for other
    types, different sizes, or less than 11 pixels left in a direction.
    """
    sr, hr = _as_rgb(sr_uint8, "sr"), _as_rgb(hr_uint8, "hr")
    if sr.shape != hr.shape:
        raise ImageContractError(f"score: want SR of HR's size {hr.shape[:2]}, got {sr.shape[:2]}")
    if min(hr.shape[:2]) < smallest_side(scale):
        raise ImageContractError(
            f"score: want at least {smallest_side(scale)} pixels a side at scale {scale} "
            f"({scale} shaved on each side, {WINDOW} for SSIM), got {hr.shape[:2]}"
        )
    inner = (slice(scale, -scale), slice(scale, -scale))
    sr_y, hr_y = rgb_to_y(sr[inner]), rgb_to_y(hr[inner])
    return Scores(
        psnr_y=psnr(sr_y, hr_y),
        ssim_y=ssim(sr_y, hr_y),
        psnr_rgb=psnr(sr[inner], hr[inner]),
        ssim_rgb=ssim(sr[inner], hr[inner]),
        drift=color_drift(sr, hr),
    )


def smallest_side(scale: int) -> int:
    """Height and width a picture needs to be scored: one SSIM window inside the shaved border."""
    return 2 * scale + WINDOW


def mean_scores(scores: list[Scores]) -> Scores:
    """Mean over pictures, column by column; at least one picture."""
    return Scores(*(float(np.mean(column)) for column in zip(*scores, strict=True)))


def _as_rgb(image: npt.NDArray[np.uint8], name: str) -> npt.NDArray[np.uint8]:
    grey = image.ndim == 2
    if image.dtype != np.uint8 or not (grey or (image.ndim == 3 and image.shape[2] == 3)):
        raise ImageContractError(
            f"score: want {name} as uint8 (H, W) or (H, W, 3), got {image.dtype} {image.shape}"
        )
    return np.repeat(image[..., None], 3, axis=2) if grey else image


__all__ = ["PROTOCOL", "Scores", "mean_scores", "score_pair", "smallest_side"]
