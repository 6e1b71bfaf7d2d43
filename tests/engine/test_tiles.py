"""Tile plans: every pixel once, one window size, enough context."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fourfold.engine.tiles import Box, plan_spans, plan_tiles, window_overhead
from fourfold.imaging.turns import TURNS

lengths = st.integers(1, 400)
tiles = st.integers(1, 150)
halos = st.integers(0, 50)


@given(lengths, tiles, halos)
def test_kept_parts_cover_each_pixel_once_with_equal_windows_and_full_context(
    length: int, tile: int, halo: int
) -> None:
    spans = plan_spans(length, tile=tile, halo=halo)
    covered = [i for span in spans for i in range(span.keep_start, span.keep_stop)]
    assert covered == list(range(length))
    assert len({span.stop - span.start for span in spans}) == 1
    for span in spans:
        assert span.stop - span.start <= tile + 2 * halo
        assert span.keep_start < span.keep_stop
        assert span.start <= max(span.keep_start - halo, 0)
        assert span.stop >= min(span.keep_stop + halo, length)
        assert 0 <= span.start < span.stop <= length


@given(st.integers(1, 90), st.integers(1, 90), tiles, halos, st.data())
def test_a_region_is_covered_and_nothing_else(
    height: int, width: int, tile: int, halo: int, data: st.DataObject
) -> None:
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    bottom = data.draw(st.integers(top + 1, height))
    right = data.draw(st.integers(left + 1, width))
    region = Box(top, bottom, left, right)
    seen = set()
    for kept, window in plan_tiles(height, width, tile=tile, halo=halo, region=region):
        pixels = {
            (y, x) for y in range(kept.top, kept.bottom) for x in range(kept.left, kept.right)
        }
        assert not seen & pixels
        seen |= pixels
        around = kept.grow(halo, inside=Box(0, height, 0, width))
        assert around.common(window) == around
    assert len(seen) == region.height * region.width


@given(st.integers(1, 40), st.integers(1, 40), st.data())
def test_a_box_turns_with_its_picture(height: int, width: int, data: st.DataObject) -> None:
    import numpy as np

    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    box = Box(top, data.draw(st.integers(top + 1, height)), left, width)
    picture = np.arange(height * width).reshape(height, width)
    for turn in TURNS:
        turned_box = box.turned(turn, height, width)
        turned = turn.do(picture)[turned_box.rows, turned_box.columns]
        assert np.array_equal(turn.undo(turned), picture[box.rows, box.columns])


def test_overhead_of_a_single_window_is_none() -> None:
    assert window_overhead(100, 200, tile=256, halo=40) == 1
