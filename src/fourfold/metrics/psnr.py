"""Peak signal-to-noise ratio."""

from __future__ import annotations

from math import inf, log10
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import ImageContractError


def psnr(sr: npt.NDArray[Any], hr: npt.NDArray[Any], *, peak: float = 255.0) -> float:
    """`10 log10(peak^2 / mean squared difference)` in dB; `inf` for equal arrays.

    Scores nothing but what it is given: border and colour are `metrics.protocol`'s business.
    `ImageContractError` unless both have one shape and at least one value.

    >>> round(psnr(np.zeros((2, 2)), np.ones((2, 2))), 2)
    48.13
    """
    if sr.shape != hr.shape or not sr.size:
        raise ImageContractError(f"psnr: want two arrays of one shape, got {sr.shape}, {hr.shape}")
    # Signed and wide: the difference of two uint8 wraps around.
    difference = (sr.astype(np.float64) - hr).ravel()
    error = float(difference @ difference) / difference.size
    return 10 * log10(peak * peak / error) if error else inf


__all__ = ["psnr"]
