"""Each step of the degradation chain does what its name says."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import special

from fourfold.datasets import degradations as d


@pytest.fixture
def image(rng):
    return rng.random((24, 30, 3), dtype=np.float32)


def test_kernels_sum_to_one():
    for kernel in (
        d.gaussian_kernel(13, sigma_x=2, sigma_y=0.7, angle=0.4, shape=0.8),
        d.sinc_kernel(15, cutoff=1.5),
    ):
        assert kernel.sum() == pytest.approx(1)
        assert np.allclose(kernel, kernel[::-1, ::-1])


def test_sinc_kernel_is_the_jinc_function():
    along = np.arange(9) - 4
    radius = np.hypot(*np.meshgrid(along, along))
    radius[4, 4] = 1e-9
    expected = 2.0 * special.j1(2.0 * radius) / (2 * np.pi * radius)
    assert np.allclose(d.sinc_kernel(9, cutoff=2.0), expected / expected.sum(), atol=1e-9)


def test_blur_equals_the_sum_over_the_window(image):
    kernel = d.gaussian_kernel(7, sigma_x=1.5, sigma_y=0.8, angle=0.3)
    padded = np.pad(image, ((3, 3), (3, 3), (0, 0)), mode="symmetric")
    expected = sum(
        kernel[6 - y, 6 - x] * padded[y : y + 24, x : x + 30] for y in range(7) for x in range(7)
    )
    assert np.allclose(d.blur(image, kernel), expected, atol=1e-5)


def test_a_constant_picture_stays_constant_under_blur():
    flat = np.full((9, 40, 3), 0.25, np.float32)
    assert np.allclose(d.blur(flat, d.sinc_kernel(21, cutoff=1.2)), 0.25, atol=1e-6)


def test_noise_has_the_strength_it_is_given(rng):
    grey = np.full((200, 200, 3), 0.5, np.float32)
    noise = d.add_gaussian_noise(grey, sigma=0.05, grey=False, rng=rng) - grey
    assert noise.std() == pytest.approx(0.05, rel=0.02)
    one = d.add_gaussian_noise(grey, sigma=0.05, grey=True, rng=rng)
    assert np.array_equal(one[..., 0], one[..., 2])
    shot = d.add_poisson_noise(grey, strength=1.0, grey=False, rng=rng) - grey
    assert shot.std() == pytest.approx((0.5 / 255) ** 0.5, rel=0.02)


def test_jpeg_is_closer_at_higher_quality(rng):
    coarse = rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)
    picture = np.kron(coarse, np.ones((8, 8, 1), np.uint8))
    errors = [np.abs(d.jpeg(picture, quality=q).astype(int) - picture).mean() for q in (20, 95)]
    assert errors[1] < errors[0]


@pytest.mark.parametrize("scale", [2, 4, 8])
def test_real_chain_gives_low_resolution(scale):
    rng = np.random.default_rng(3)
    picture = rng.integers(0, 256, (96, 128, 3), dtype=np.uint8)
    for _ in range(5):
        low = d.degrade_real(picture, scale=scale, rng=rng)
        assert low.shape == (96 // scale, 128 // scale, 3)
        assert low.dtype == np.uint8


def test_real_chain_keeps_the_mean_colour():
    rng = np.random.default_rng(5)
    picture = np.full((96, 96, 3), (200, 120, 60), np.uint8)
    means = [d.degrade_real(picture, scale=4, rng=rng).mean(axis=(0, 1)) for _ in range(10)]
    assert np.abs(np.mean(means, axis=0) - (200, 120, 60)).max() < 6
