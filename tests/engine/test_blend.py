"""Blended tiles: every pixel once, no edge, and what tiles agree on stays."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold.engine.blend import RAMP, blend
from fourfold.engine.tiles import Box, plan_tiles

sides = st.integers(1, 300)


def pieces(region: Box, tile: int, value):
    """Tiles of a region, each the part of an array that lies under its grown box."""
    plan = plan_tiles(region.bottom + 5, region.right + 5, tile=tile, halo=20, region=region)
    for number, (kept, _) in enumerate(plan):
        yield kept, value(kept.grow(RAMP, inside=region), number)


@settings(deadline=None, max_examples=30)
@given(sides, sides, st.integers(4 * RAMP, 120), st.integers(1, 3))
def test_tiles_that_agree_come_back_whole_and_once(
    height: int, width: int, tile: int, scale: int
) -> None:
    region = Box(5, 5 + height, 5, 5 + width)
    rng = np.random.default_rng(0)
    picture = rng.random((height * scale, width * scale, 3), np.float32)

    def crop(box: Box, _number: int) -> np.ndarray:
        inner = box.within(region).scaled(scale)
        return picture[inner.rows, inner.columns]

    seen = np.zeros(picture.shape[:2], int)
    for box, part in blend(pieces(region, tile, crop), region, scale=scale):
        inner = box.within(region).scaled(scale)
        seen[inner.rows, inner.columns] += 1
        np.testing.assert_allclose(part, picture[inner.rows, inner.columns], atol=1e-6)
    assert (seen == 1).all()


def test_tiles_that_differ_fade_into_each_other() -> None:
    region = Box(0, 200, 0, 200)
    result = np.zeros((200, 200, 1), np.float32)

    def level(box: Box, number: int) -> np.ndarray:
        return np.full((box.height, box.width, 1), number % 2, np.float32)

    for box, part in blend(pieces(region, 70, level), region, scale=1):
        result[box.rows, box.columns] = part
    assert result.min() >= 0
    assert result.max() <= 1 + 1e-6
    assert np.abs(np.diff(result[..., 0], axis=0)).max() < 0.06
    assert np.abs(np.diff(result[..., 0], axis=1)).max() < 0.06
