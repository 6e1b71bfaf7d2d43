"""Measured defects follow what was done to a picture."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold.datasets.degradations import add_gaussian_noise, blur, gaussian_kernel, jpeg
from fourfold.imaging.arrays import from_float, to_float
from fourfold.imaging.defects import SMALLEST_SIDE, measure, middle_of


@pytest.fixture
def picture():
    """Edges of all directions and smooth parts, float32 `(160, 192, 3)`, without noise."""
    y, x = np.mgrid[:160, :192].astype(np.float32)
    planes = [
        0.5 + 0.2 * np.sin(x / 9 + k) + 0.2 * (np.hypot(x - 90, y - 70 - 9 * k) < 50)
        + 0.1 * ((x // 16 + y // 16) % 2)
        for k in range(3)
    ]  # fmt: skip
    return np.clip(np.stack(planes, axis=2), 0, 1).astype(np.float32)


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.mark.parametrize("sigma", [5, 15])
def test_noise_is_measured_in_grey_levels(picture, sigma):
    grey = measure(add_gaussian_noise(picture, sigma=sigma / 255, grey=True, rng=rng()))
    assert grey.noise == pytest.approx(sigma, rel=0.35)
    assert grey.fineness > measure(picture).fineness


@pytest.mark.parametrize(("top", "left"), [(0, 0), (3, 0), (5, 6)])
def test_blocks_are_found_wherever_their_grid_starts(picture, top, left):
    grainy = add_gaussian_noise(picture, sigma=3 / 255, grey=False, rng=rng())
    squeezed = jpeg(from_float(grainy, np.uint8), quality=50)[top:, left:]
    assert measure(to_float(squeezed)).blocks > 0.2
    assert abs(measure(grainy).blocks) < 0.05


def test_blur_softens_edges(picture):
    soft = np.clip(blur(picture, gaussian_kernel(15, sigma_x=2, sigma_y=2, angle=0)), 0, 1)
    assert measure(soft).edges < 0.75 < measure(picture).edges
    assert measure(soft).fineness < measure(picture).fineness


def test_measuring_is_deterministic_and_bounded(picture):
    large = np.tile(picture, (8, 8, 1))
    assert measure(large) == measure(large.copy())
    assert measure(large).side == 768
    assert measure(np.zeros((SMALLEST_SIDE - 1, 300, 3), np.float32)) is None


@pytest.mark.parametrize("shape", [(24, 24, 3), (40, 31, 1), (25, 900, 3)])
@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
def test_flat_pictures_measure_finite_and_drawn(shape, level):
    defects = measure(np.full(shape, level, np.float32))
    assert defects.drawn
    assert all(np.isfinite(getattr(defects, n)) for n in ("noise", "grain", "edges", "fineness"))


def test_frames_are_judged_by_their_median(picture):
    noisy = measure(add_gaussian_noise(picture, sigma=0.1, grey=False, rng=rng()))
    clean = measure(picture)
    assert middle_of([clean, noisy, clean]) == clean
