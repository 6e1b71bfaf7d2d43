"""Flicker counts change where the film stands still, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold.errors import ImageContractError
from fourfold.metrics.flicker import Flicker

GREY = np.full((8, 8, 3), 100, np.uint8)


def test_a_still_film_has_none() -> None:
    found = Flicker()
    found.add((GREY, GREY), (GREY, GREY))
    assert (found.sr, found.bicubic, found.still_share) == (0, 0, 1)


def test_new_texture_on_a_still_wall_counts() -> None:
    drawn = GREY + np.uint8(10)
    found = Flicker()
    found.add((GREY, drawn), (GREY, GREY))
    assert found.sr == pytest.approx(10 * 219 / 255)
    assert found.bicubic == 0


def test_what_moves_does_not_count() -> None:
    moved = GREY.copy()
    moved[:, :4] = 200
    found = Flicker()
    found.add((GREY, moved), (GREY, moved))
    assert found.still_share == 0.5
    assert found.sr == 0


def test_sizes_must_agree() -> None:
    with pytest.raises(ImageContractError, match="one size"):
        Flicker().add((GREY, GREY), (GREY, GREY[:4]))
