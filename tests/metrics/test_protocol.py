"""Scores against scikit-image, numbers worked out by hand, and what must hold for any picture."""

from __future__ import annotations

from math import inf, log10

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold.errors import ImageContractError
from fourfold.imaging.color import rgb_to_y
from fourfold.imaging.resize import imresize
from fourfold.metrics import PROTOCOL, Scores, mean_scores, score_pair
from fourfold.metrics.drift import color_drift, consistency_psnr
from fourfold.metrics.psnr import psnr
from fourfold.metrics.ssim import ssim


def picture(seed=0, height=40, width=56):
    """Smooth shapes and some noise, uint8 RGB."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (max(height // 8, 1), max(width // 8, 1), 3), dtype=np.uint8)
    noise = rng.integers(-9, 10, (height, width, 3))
    return np.clip(imresize(coarse, size=(height, width)) + noise, 0, 255).astype(np.uint8)


def test_y_of_primaries_is_bt601_studio_swing():
    primaries = np.eye(3, dtype=np.uint8)[None] * 255
    np.testing.assert_allclose(rgb_to_y(primaries), [[81.481, 144.553, 40.966]], atol=1e-9)


def test_y_of_grey_spans_16_to_235_and_is_not_rounded():
    grey = np.repeat(np.array([[[0], [1], [128], [255]]], np.uint8), 3, axis=2)
    np.testing.assert_allclose(rgb_to_y(grey), [[16, 16 + 219 / 255, 16 + 128 * 219 / 255, 235]])


@pytest.mark.parametrize("bad", [np.zeros((2, 2, 3)), np.zeros((2, 2), np.uint8)])
def test_y_of_something_else_is_refused(bad):
    with pytest.raises(ImageContractError, match="want uint8"):
        rgb_to_y(bad)


def test_psnr_and_ssim_equal_scikit_image():
    reference = pytest.importorskip("skimage.metrics")
    hr, sr = picture(1), picture(1) // 2 + picture(2) // 2
    assert psnr(sr, hr) == pytest.approx(reference.peak_signal_noise_ratio(hr, sr, data_range=255))
    # scikit-image cuts the Gaussian by `truncate`: 3.5 sigma is a radius of 5, the 11x11 window.
    _, whole = reference.structural_similarity(
        rgb_to_y(hr), rgb_to_y(sr), data_range=255, gaussian_weights=True, sigma=1.5, truncate=3.5,
        use_sample_covariance=False, full=True,
    )  # fmt: skip
    assert ssim(rgb_to_y(sr), rgb_to_y(hr)) == pytest.approx(whole[5:-5, 5:-5].mean(), abs=1e-10)
    channels = [
        reference.structural_similarity(
            hr[..., c], sr[..., c], data_range=255, gaussian_weights=True, sigma=1.5,
            use_sample_covariance=False,
        )
        for c in range(3)
    ]  # fmt: skip
    assert ssim(sr, hr) == pytest.approx(np.mean(channels), abs=1e-10)


def test_scores_of_a_constant_offset_follow_from_arithmetic():
    hr = np.full((32, 32, 3), 100, np.uint8)
    scores = score_pair(hr + np.uint8(5), hr, scale=4)
    assert scores.psnr_rgb == pytest.approx(20 * log10(255 / 5))
    assert scores.psnr_y == pytest.approx(20 * log10(255 / (5 * 219 / 255)))
    assert scores.drift == 5
    c1 = (0.01 * 255) ** 2
    assert scores.ssim_rgb == pytest.approx((2 * 100 * 105 + c1) / (100**2 + 105**2 + c1))


def test_equal_pictures_score_infinity_one_and_no_drift():
    hr = picture()
    assert score_pair(hr, hr, scale=2) == Scores(inf, pytest.approx(1), inf, pytest.approx(1), 0)


def test_the_border_of_scale_pixels_does_not_count():
    hr = picture()
    sr = hr.copy()
    sr[:4], sr[-4:], sr[:, :4], sr[:, -4:] = 0, 255, 0, 255
    assert score_pair(sr, hr, scale=4).psnr_y == inf
    assert score_pair(sr, hr, scale=3).psnr_y < 40


def test_grey_scores_as_its_rgb_copy():
    hr, sr = picture(1)[..., 0], picture(2)[..., 0]
    as_rgb = [np.repeat(p[..., None], 3, axis=2) for p in (sr, hr)]
    assert score_pair(sr, hr, scale=4) == score_pair(*as_rgb, scale=4)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), scale=st.sampled_from([1, 2, 3, 4, 8]))
def test_scores_do_not_depend_on_order_flips_or_turns(seed, scale):
    sr, hr = picture(seed), picture(seed + 1)
    scores = score_pair(sr, hr, scale=scale)
    for other in (
        score_pair(hr, sr, scale=scale),
        score_pair(sr[::-1], hr[::-1], scale=scale),
        score_pair(sr.swapaxes(0, 1), hr.swapaxes(0, 1), scale=scale),
    ):
        assert other == pytest.approx(scores)


@pytest.mark.parametrize(
    ("sr", "hr", "wants"),
    [
        (np.zeros((40, 40, 3)), np.zeros((40, 40, 3), np.uint8), "uint8"),
        (np.zeros((40, 40, 4), np.uint8), np.zeros((40, 40, 4), np.uint8), "want sr as uint8"),
        (np.zeros((40, 44, 3), np.uint8), np.zeros((40, 40, 3), np.uint8), "HR's size"),
        (np.zeros((18, 40, 3), np.uint8), np.zeros((18, 40, 3), np.uint8), "at least 19 pixels"),
    ],
)
def test_pictures_that_cannot_be_scored_are_refused(sr, hr, wants):
    with pytest.raises(ImageContractError, match=wants):
        score_pair(sr, hr, scale=4)


@pytest.mark.parametrize("metric", [psnr, ssim, color_drift])
def test_metrics_refuse_two_sizes(metric):
    with pytest.raises(ImageContractError, match="want two"):
        metric(np.zeros((20, 20, 3)), np.zeros((20, 21, 3)))


def test_ssim_refuses_less_than_its_window():
    with pytest.raises(ImageContractError, match="11x11"):
        ssim(np.zeros((10, 30)), np.zeros((10, 30)))


def test_means_are_over_pictures():
    assert mean_scores([Scores(30, 0.8, 28, 0.7, 1), Scores(32, 0.9, 30, 0.8, 3)]) == pytest.approx(
        Scores(31, 0.85, 29, 0.75, 2)
    )


def test_consistency_is_infinite_for_what_downscales_to_its_input():
    hr = picture(height=48, width=64)
    assert consistency_psnr(hr, imresize(hr, 0.25), scale=4) == inf
    assert consistency_psnr(hr // 2, imresize(hr, 0.25), scale=4) < 20
    with pytest.raises(ImageContractError, match="want 4 times"):
        consistency_psnr(hr, hr, scale=4)


def test_the_protocol_can_be_written_as_json():
    import json

    assert json.loads(json.dumps(PROTOCOL)) == PROTOCOL
