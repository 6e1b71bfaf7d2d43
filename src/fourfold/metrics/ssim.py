"""Structural similarity with the settings of its authors.

Wang, Bovik, Sheikh, Simoncelli: Image quality assessment: from error visibility to structural
similarity, IEEE TIP 2004: Gaussian window 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, mean over the
windows that fit inside the picture. Moments are weighted by the window, not corrected for sample
size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ImageContractError

WINDOW: Final = 11
SIGMA: Final = 1.5
K1: Final = 0.01
K2: Final = 0.03
_BLOCK: Final = 16
"""Outputs per matrix product: large enough for BLAS, small enough for one thread of it."""

Plane = npt.NDArray[np.float64]


def ssim(sr: npt.NDArray[Any], hr: npt.NDArray[Any], *, peak: float = 255.0) -> float:
    """Mean structural similarity of two `(H, W)` or `(H, W, C)` arrays, 1 for equal ones.

    Channels are scored one by one and averaged. `ImageContractError` unless both have one shape
    with at least 11 rows and columns.
    """
    if sr.shape != hr.shape or sr.ndim not in (2, 3):
        raise ImageContractError(f"ssim: want two pictures of one size, got {sr.shape}, {hr.shape}")
    if min(sr.shape[:2]) < WINDOW:
        raise ImageContractError(f"ssim: want at least {WINDOW}x{WINDOW} pixels, got {sr.shape}")
    if sr.ndim == 2:
        return _ssim_plane(sr.astype(np.float64), hr.astype(np.float64), peak)
    planes = [ssim(sr[..., c], hr[..., c], peak=peak) for c in range(sr.shape[2])]
    return float(np.mean(planes))


def _ssim_plane(x: Plane, y: Plane, peak: float) -> float:
    c1, c2 = (K1 * peak) ** 2, (K2 * peak) ** 2
    mean_x, mean_y = _blur(x), _blur(y)
    # Only the sum of the variances enters the formula, so four blurs do instead of five.
    product = mean_x * mean_y
    energy = mean_x * mean_x + mean_y * mean_y
    variances = _blur(x * x + y * y) - energy
    covariance = _blur(x * y) - product
    numerator = (2 * product + c1) * (2 * covariance + c2)
    denominator = (energy + c1) * (variances + c2)
    return float((numerator / denominator).mean())


def _blur(plane: Plane) -> Plane:
    """Gaussian mean over every window inside `plane`: `(H, W)` to `(H - 10, W - 10)`."""
    return _blur_rows(np.ascontiguousarray(_blur_rows(plane).T)).T


def _blur_rows(plane: Plane) -> Plane:
    length = plane.shape[0] - WINDOW + 1
    out = np.empty((length, plane.shape[1]))
    for start in range(0, length, _BLOCK):
        stop = min(start + _BLOCK, length)
        np.matmul(_band(stop - start), plane[start : stop + WINDOW - 1], out=out[start:stop])
    return out


@lru_cache(maxsize=_BLOCK)
def _band(rows: int) -> Plane:
    """`(rows, rows + 10)`: row i holds the window's weights from column i on."""
    offset = np.arange(WINDOW) - WINDOW // 2
    window = np.exp(-(offset**2) / (2 * SIGMA**2))
    band = np.zeros((rows, rows + WINDOW - 1))
    for row in range(rows):
        band[row, row : row + WINDOW] = window / window.sum()
    return band


__all__ = ["K1", "K2", "SIGMA", "WINDOW", "ssim"]
