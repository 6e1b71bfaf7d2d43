"""MATLAB's imresize: golden numbers, the definition, properties, and the published pictures."""

from __future__ import annotations

import time
from math import ceil, floor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold.errors import ImageContractError
from fourfold.imaging.resize import contributions, imresize
from fourfold.pictures.images import read_pixels


def keys_cubic(x):
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0.0


def resize_line_by_definition(line, out_length, scale, *, antialias=True, edge="symmetric"):
    """One output sample after the other, straight from the definition."""
    stretch = min(scale, 1) if antialias else 1
    n, out = len(line), []
    for i in range(out_length):
        centre = (i + 0.5) / scale - 0.5
        reach = range(floor(centre - 2 / stretch) - 1, ceil(centre + 2 / stretch) + 2)
        total = weight_sum = 0.0
        for j in reach:
            weight = keys_cubic(stretch * (centre - j))
            if edge == "symmetric":
                k = j % (2 * n)
                k = k if k < n else 2 * n - 1 - k
            else:
                k = min(max(j, 0), n - 1)
            total += weight * line[k]
            weight_sum += weight
        out.append(total / weight_sum)
    return np.array(out)


# Worked out by hand from the kernel a = -0.5: at half scale the widened kernel's weights are
# (-3 -9 29 111 111 29 -9 -3) / 256.
GOLDEN_HALF = [
    ([10, 20, 30, 40, 50, 60, 70, 80], "symmetric", [14, 35, 55, 76]),
    ([0, 0, 0, 255, 255, 0, 0, 0], "symmetric", [0, 139, 139, 0]),
    ([255, 0, 0, 0, 0, 0, 0, 0], "symmetric", [139, 0, 0, 0]),
    ([255, 0, 0, 0, 0, 0, 0, 0], "replicate", [128, 0, 0, 0]),
]


@pytest.mark.parametrize(("line", "edge", "want"), GOLDEN_HALF)
def test_half_size_matches_numbers_worked_out_by_hand(line, edge, want):
    picture = np.repeat(np.array([line], np.uint8), 2, axis=0)
    small = imresize(picture, 0.5, edge=edge)
    np.testing.assert_array_equal(small, [want])


def test_double_size_of_a_step_matches_the_kernel():
    # Weights at 1/4: -9/128, 111/128, 29/128, -3/128; mirrored at the edge.
    np.testing.assert_array_equal(
        imresize(np.array([[0, 255]], np.uint8), 2), [[0, 52, 203, 255], [0, 52, 203, 255]]
    )


@pytest.mark.parametrize("edge", ["symmetric", "replicate"])
@pytest.mark.parametrize("scale", [0.25, 0.3, 0.5, 0.77, 1.0, 1.5, 2.0, 3.7])
def test_any_factor_equals_the_definition(scale, edge, rng):
    line = rng.random(23)
    want = resize_line_by_definition(line, ceil(23 * scale), scale, edge=edge)
    got = imresize(np.tile(line, (4, 1)), scale, edge=edge)
    np.testing.assert_allclose(got[0], want, atol=1e-12)


def test_without_antialiasing_the_kernel_is_not_widened(rng):
    line = rng.random(16)
    want = resize_line_by_definition(line, 4, 0.25, antialias=False)
    np.testing.assert_allclose(
        imresize(np.tile(line, (16, 1)), 0.25, antialias=False)[0], want, atol=1e-12
    )


def test_rounding_each_dimension_differs_from_rounding_once(rng):
    picture = rng.integers(0, 256, (64, 64), dtype=np.uint8)
    each, once = imresize(picture, 0.5), imresize(picture, 0.5, rounding="once")
    exact = np.clip(np.floor(imresize(picture.astype(np.float64), 0.5) + 0.5), 0, 255)
    np.testing.assert_array_equal(once, exact)
    assert (each != once).any()
    assert np.abs(each.astype(int) - once).max() <= 2


def test_16_bit_keeps_its_depth_and_agrees_with_8_bit(rng):
    picture = rng.integers(0, 256, (32, 24, 3), dtype=np.uint8)
    wide = imresize(picture.astype(np.uint16) * 257, 0.5, rounding="once")
    assert wide.dtype == np.uint16
    assert np.abs(wide / 257 - imresize(picture, 0.5, rounding="once")).max() <= 0.51


@pytest.mark.parametrize(
    ("bad", "wants"),
    [
        (lambda: imresize(np.zeros((4, 4))), "scale or a size"),
        (lambda: imresize(np.zeros((4, 4)), 2, size=(1, 1)), "scale or a size"),
        (lambda: imresize(np.zeros((4, 4)), 0), "above 0"),
        (lambda: imresize(np.zeros((4, 4)), float("inf")), "above 0"),
        (lambda: imresize(np.zeros((4, 4)), size=(0, 3)), "at least 1x1"),
        (lambda: imresize(np.zeros((4, 0)), 2), "want \\(H, W\\)"),
        (lambda: imresize(np.zeros(4), 2), "want \\(H, W\\)"),
        (lambda: imresize(np.zeros((4, 4), np.int32), 2), "int32"),
        (lambda: imresize(np.zeros((4, 4)), 2, kernel="bicubic"), "cubic"),
        (lambda: imresize(np.zeros((4, 4)), 2, rounding="never"), "each"),
        (lambda: imresize(np.zeros((4, 4)), 2, edge="wrap"), "symmetric"),
    ],
)
def test_wrong_calls_are_refused_in_one_line(bad, wants):
    with pytest.raises(ImageContractError, match=wants):
        bad()


kernels = st.sampled_from(["box", "triangle", "cubic", "lanczos2", "lanczos3"])
sides = st.integers(1, 40)
scales = st.floats(0.1, 4)
edges = st.sampled_from(["symmetric", "replicate"])


@settings(max_examples=60, deadline=None)
@given(height=sides, width=sides, scale=scales, kernel=kernels, edge=edges)
def test_a_constant_stays_constant_and_sizes_are_ceilings(height, width, scale, kernel, edge):
    for rounding in ("each", "once"):
        picture = np.full((height, width, 3), 137, np.uint8)
        out = imresize(picture, scale, kernel=kernel, edge=edge, rounding=rounding)
        assert out.shape == (ceil(height * scale - 1e-9), ceil(width * scale - 1e-9), 3)
        assert (out == 137).all()


@settings(max_examples=40, deadline=None)
@given(height=sides, width=sides, scale=scales, seed=st.integers(0, 9), edge=edges)
def test_resizing_floats_is_linear(height, width, scale, seed, edge):
    a, b = np.random.default_rng(seed).random((2, height, width))
    mixed = imresize(2 * a - 3 * b, scale, edge=edge)
    np.testing.assert_allclose(
        mixed, 2 * imresize(a, scale, edge=edge) - 3 * imresize(b, scale, edge=edge), atol=1e-9
    )


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 9), width=st.integers(1, 9), factor=st.integers(2, 4), up=st.booleans()
)
def test_flips_and_turns_commute_with_whole_factors(height, width, factor, up):
    picture = np.random.default_rng(height * 10 + width).random((height, width))
    if not up:
        picture = np.tile(picture, (factor, factor))
    scale = factor if up else 1 / factor
    out = imresize(picture, scale)
    np.testing.assert_allclose(imresize(picture[:, ::-1], scale), out[:, ::-1], atol=1e-12)
    np.testing.assert_allclose(imresize(picture[::-1], scale), out[::-1], atol=1e-12)
    np.testing.assert_allclose(imresize(picture.T, scale), out.T, atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(in_length=sides, out_length=sides, kernel=kernels, edge=edges)
def test_weights_sum_to_one_and_indices_stay_inside(in_length, out_length, kernel, edge):
    index, weights = contributions(
        in_length, out_length, out_length / in_length, kernel, True, edge
    )
    assert index.shape == weights.shape == (out_length, index.shape[1])
    np.testing.assert_allclose(weights.sum(axis=1), 1)
    assert index.min() >= 0
    assert index.max() < in_length


def test_channels_are_resized_independently(rng):
    picture = rng.integers(0, 256, (20, 16, 4), dtype=np.uint8)
    whole = imresize(picture, 0.5)
    for channel in range(4):
        np.testing.assert_array_equal(whole[..., channel], imresize(picture[..., channel], 0.5))


def test_same_size_returns_the_picture(rng):
    picture = rng.integers(0, 256, (9, 13, 3), dtype=np.uint8)
    np.testing.assert_array_equal(imresize(picture, size=(9, 13)), picture)


@pytest.mark.slow
def test_a_megapixel_takes_well_under_a_second(rng):
    picture = rng.integers(0, 256, (1024, 1024, 3), dtype=np.uint8)
    imresize(picture[:64, :64], 0.25)
    start = time.process_time()
    imresize(picture, 0.25)
    assert time.process_time() - start < 1


# How the published low-resolution sets were made; docs/scoring.md tells the story.
PUBLISHED = [
    ("Set5", 2, {}),
    ("Set5", 4, {}),
    ("Set5", 8, {"rounding": "once"}),
    ("Set14", 2, {"edge": "replicate"}),
    ("Set14", 4, {"edge": "replicate"}),
]


@pytest.mark.parametrize(("dataset", "scale", "how"), PUBLISHED)
def test_published_pictures_are_reproduced_bit_for_bit(bench, dataset, scale, how):
    files = sorted((bench / dataset / "LR_bicubic" / f"X{scale}").glob("*.png"))
    assert files
    for file in files:
        hr = read_pixels(bench / dataset / "HR" / file.name.replace(f"x{scale}.png", ".png"))
        height, width = (side - side % scale for side in hr.shape[:2])
        made = imresize(hr[:height, :width], 1 / scale, **how)
        np.testing.assert_array_equal(made, read_pixels(file), err_msg=file.name)


def test_todays_edge_rule_differs_from_published_set14_only_at_the_border(bench):
    for file in sorted((bench / "Set14" / "LR_bicubic" / "X4").glob("*.png")):
        hr = read_pixels(bench / "Set14" / "HR" / file.name.replace("x4.png", ".png"))
        height, width = (side - side % 4 for side in hr.shape[:2])
        made = imresize(hr[:height, :width], 0.25)
        np.testing.assert_array_equal(made[2:-2, 2:-2], read_pixels(file)[2:-2, 2:-2])
