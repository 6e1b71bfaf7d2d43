"""NIQE: the authors' figure, and what must hold for any picture."""

from __future__ import annotations

from math import isnan

import numpy as np
import pytest

from fourfold.metrics.niqe import fit_asymmetric, niqe
from fourfold.pictures.eight_bit import read_rgb8


def test_a_known_picture_scores_what_the_authors_code_gives(bench):
    # 5.72957338 in MATLAB R2021a with the authors' release, as BasicSR's documentation states.
    assert niqe(read_rgb8(bench / "Set14" / "HR" / "baboon.png")) == pytest.approx(5.7296, abs=5e-5)


def test_noise_looks_less_natural(draw, rng):
    picture = draw(192, 192)
    noisy = np.clip(picture + rng.normal(0, 40, picture.shape), 0, 255).astype(np.uint8)
    assert niqe(noisy) > niqe(picture) > 0


def test_only_whole_blocks_count(draw):
    picture = draw(210, 200)
    assert niqe(picture) == niqe(picture[:192, :192])


@pytest.mark.parametrize("shape", [(96, 96, 3), (95, 400, 3)])
def test_less_than_two_blocks_have_no_score(shape):
    assert isnan(niqe(np.zeros(shape, np.uint8)))


def test_flat_pictures_have_no_score():
    assert isnan(niqe(np.full((200, 200, 3), 128, np.uint8)))


def test_a_gaussian_is_recognised(rng):
    fit = fit_asymmetric(rng.normal(0, 1, (300, 300)))
    assert fit.alpha == pytest.approx(2, abs=0.05)
    assert fit.mean == pytest.approx(0, abs=0.02)
    assert fit.beta_left == pytest.approx(2**0.5, abs=0.03)


def test_a_laplacian_and_its_wider_side_are_recognised(rng):
    values = rng.laplace(0, 1, (300, 300))
    values[values > 0] *= 2
    fit = fit_asymmetric(values)
    assert fit.beta_right > 1.5 * fit.beta_left
    assert fit.mean > 0
    assert fit_asymmetric(rng.laplace(0, 1, (300, 300))).alpha == pytest.approx(1, abs=0.05)
