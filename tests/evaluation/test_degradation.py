"""Damaged inputs: the same for the same seed, of the size they had, and no published row beside."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold.errors import UsageError
from fourfold.evaluation.degradation import parse_degradation
from fourfold.imaging.resize import imresize


@pytest.fixture
def pair(draw):
    hr = draw(64, 80, 1)
    return imresize(hr, 1 / 4), hr


@pytest.mark.parametrize("text", ["real", "jpeg:40", "noise:12"])
def test_a_seed_and_a_name_decide_the_damage(pair, text):
    lr, hr = pair
    damage = parse_degradation(text, seed=3)
    first, again = (damage(lr, hr, picture="a") for _ in range(2))
    assert first.shape == lr.shape
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert (first != lr).any()
    if text != "jpeg:40":  # which draws nothing
        assert (first != damage(lr, hr, picture="b")).any()
        assert (first != parse_degradation(text, seed=4)(lr, hr, picture="a")).any()


def test_strength_is_in_grey_levels():
    flat = np.full((64, 64, 3), 128, np.uint8)
    noisy = parse_degradation("noise:12", seed=0)(flat, flat, picture="")
    assert (noisy - 128.0).std() == pytest.approx(12, rel=0.03)


@pytest.mark.parametrize(
    "text", ["", "rain", "jpeg", "jpeg:0", "jpeg:101", "noise:-1", "noise:300"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(UsageError, match="--degrade: want"):
        parse_degradation(text, seed=0)
