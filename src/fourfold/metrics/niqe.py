"""NIQE: how natural a picture looks, without an original; lower is better.

Mittal, Soundararajan, Bovik: Making a completely blind image quality analyzer, IEEE Signal
Processing Letters 2013. Statistics of locally normalised luma in blocks of 96 pixels, at two
sizes, are compared with those of pristine photographs. The reference parameters are the authors'
(see NOTICE).
"""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from math import lgamma, nan
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.imaging.color import rgb_to_y
from fourfold.imaging.resize import imresize

BLOCK: Final = 96
"""Side of a block; half of it at the second size."""
_WINDOW: Final = 7
_SIGMA: Final = 7 / 6
_SHIFTS: Final = ((0, 1), (1, 0), (1, 1), (1, -1))
"""Neighbours whose products are described: right, below, and both diagonals."""

Plane = npt.NDArray[np.float64]
Rgb8 = npt.NDArray[np.uint8]


def niqe(image: Rgb8) -> float:
    """Distance of a uint8 `(H, W, 3)` picture from natural ones, 0 and up.

    Computed on rounded Y over the whole blocks from the top left. NaN for pictures of less than
    two blocks and for flat ones, which have no statistics. In perfectly flat areas the signs of
    rounding errors enter, so implementations agree only on pictures without them.
    """
    luma = np.round(rgb_to_y(image))
    rows, columns = luma.shape[0] // BLOCK, luma.shape[1] // BLOCK
    if rows * columns < 2:
        return nan
    plane = luma[: rows * BLOCK, : columns * BLOCK]
    with np.errstate(invalid="ignore", divide="ignore"):
        large = _features(plane, BLOCK)
        small = _features(imresize(plane, 0.5), BLOCK // 2)
    features = np.concatenate([large, small], axis=1)
    complete = features[np.isfinite(features).all(axis=1)]
    if len(complete) < 2:
        return nan
    natural_mean, natural_covariance = _natural()
    # The mean takes what every block has, the covariance complete blocks only: as the authors do.
    difference = natural_mean - np.nanmean(features, axis=0)
    covariance = (natural_covariance + np.cov(complete, rowvar=False)) / 2
    return float(np.sqrt(difference @ np.linalg.pinv(covariance) @ difference))


def _features(plane: Plane, block: int) -> Plane:
    """18 numbers for each block, `(blocks, 18)`."""
    mean = _blur(plane)
    deviation = np.sqrt(np.abs(_blur(plane * plane) - mean * mean))
    normalised = (plane - mean) / (deviation + 1)
    rows = []
    for top in range(0, plane.shape[0], block):
        for left in range(0, plane.shape[1], block):
            own = normalised[top : top + block, left : left + block]
            centre = fit_asymmetric(own)
            row = [centre.alpha, (centre.beta_left + centre.beta_right) / 2]
            for shift in _SHIFTS:
                # Products wrap around inside the block, as in the authors' code.
                row += fit_asymmetric(own * np.roll(own, shift, axis=(0, 1)))
            rows.append(row)
    return np.array(rows)


class Asymmetric(NamedTuple):
    """Asymmetric generalised Gaussian: shape, mean, and scale on either side of 0."""

    alpha: float
    mean: float
    beta_left: float
    beta_right: float


def fit_asymmetric(values: Plane) -> Asymmetric:
    """Fit by matching moments (Lasmar, Stitou, Berthoumieu, ICIP 2009).

    Without values of both signs there is nothing to match: alpha is the smallest shape and what
    depends on the missing side NaN.
    """
    squares = values * values
    sigma_left, sigma_right = (
        np.sqrt(squares[side].mean()) if side.any() else nan for side in (values < 0, values > 0)
    )
    gamma = sigma_left / sigma_right
    ratio = np.abs(values).mean() ** 2 / squares.mean()
    ratio *= (gamma**3 + 1) * (gamma + 1) / (gamma**2 + 1) ** 2
    shapes, ratios = _shape_table()
    alpha = float(shapes[np.argmin((ratios - ratio) ** 2)])
    one, two, three = (lgamma(n / alpha) for n in (1, 2, 3))
    width = np.exp((one - three) / 2)
    beta_left, beta_right = float(sigma_left * width), float(sigma_right * width)
    return Asymmetric(
        alpha, float((beta_right - beta_left) * np.exp(two - one)), beta_left, beta_right
    )


@lru_cache(maxsize=1)
def _shape_table() -> tuple[Plane, Plane]:
    """Shapes 0.2 to 10 in steps of 0.001 and the moment ratio of each."""
    shapes = np.arange(200, 10001) / 1000
    logs = [2 * lgamma(2 / a) - lgamma(1 / a) - lgamma(3 / a) for a in shapes.tolist()]
    return shapes, np.exp(np.array(logs))


def _blur(plane: Plane) -> Plane:
    """Gaussian mean of 7x7 with sigma 7/6; border pixels repeat beyond the edge."""
    offset = np.arange(_WINDOW) - _WINDOW // 2
    window = np.exp(-(offset**2) / (2 * _SIGMA**2))
    window /= window.sum()
    padded = np.pad(plane, _WINDOW // 2, mode="edge")
    height, width = plane.shape
    down = sum(weight * padded[i : i + height] for i, weight in enumerate(window))
    across: Plane = sum(weight * down[:, i : i + width] for i, weight in enumerate(window))
    return across


@lru_cache(maxsize=1)
def _natural() -> tuple[Plane, Plane]:
    """Mean `(36,)` and covariance `(36, 36)` of the features of pristine photographs."""
    with (files("fourfold.metrics") / "niqe_natural.npz").open("rb") as file, np.load(file) as data:
        return data["mean"], data["covariance"]


__all__ = ["BLOCK", "Asymmetric", "fit_asymmetric", "niqe"]
