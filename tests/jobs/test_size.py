"""How large the result becomes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fourfold.errors import UsageError
from fourfold.jobs.size import FRAMES, TargetSize

sides = st.integers(1, 5000)


@given(sides, sides, st.sampled_from(sorted(FRAMES)))
def test_the_result_fills_the_frame_and_stays_inside(width: int, height: int, name: str) -> None:
    frame_width, frame_height = FRAMES[name]
    out_width, out_height = TargetSize.parse(None, name).of(width, height, 4)
    assert out_width <= frame_width
    assert out_height <= frame_height
    assert out_width == frame_width or out_height == frame_height


def test_an_upright_picture_stays_inside_the_frame_too() -> None:
    assert TargetSize.parse(None, "4k").of(300, 600, 4) == (1080, 2160)


@pytest.mark.parametrize("fit", ["", "big", "0x5", "5x", "-1x3"])
def test_frames_that_are_none_are_refused(fit: str) -> None:
    with pytest.raises(UsageError, match="fit: want"):
        TargetSize.parse(None, fit)


def test_names_tell_the_size() -> None:
    assert TargetSize.parse(None, None).suffix(4) == "_x4"
    assert TargetSize.parse(2.5, None).suffix(4) == "_x2.5"
    assert TargetSize.parse(None, "1080P").suffix(4) == "_1080p"
