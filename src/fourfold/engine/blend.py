"""Tiles that overlap, put together without a visible edge.

For networks whose tiles cannot be exact. Results of neighbours fade into each other over a ramp on
both sides of their common edge; the weights add up to 1 everywhere, so what they agree on stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from fourfold.engine.tiles import Box
from fourfold.imaging.arrays import Image

RAMP: Final = 16
"""LR pixels on each side of the edge between two tiles, over which they fade."""


def blend(
    pieces: Iterable[tuple[Box, Image]], region: Box, *, scale: int
) -> Iterator[tuple[Box, Image]]:
    """Fade tiles into each other.

    Args:
        pieces: row by row, (kept box of a plan over `region`, float result `(h, w, C)` of that box
            grown by `RAMP` inside `region`). Tiles are at least `2 * RAMP` high and wide.
        region: what the kept boxes cover.
        scale: of the results.

    Yields (box, its result); these boxes cover `region` once, and lie up and left of the kept
    boxes by the ramp. In memory: one piece and a strip as wide as the region, `2 * RAMP` high.
    """
    above: dict[int, Image] = {}
    left: Image | None = None
    for kept, piece in pieces:
        reach = kept.grow(RAMP, inside=region)
        faded = piece * _weights(kept, region, scale)
        if kept.left > region.left and left is not None:
            faded[:, : left.shape[1]] += left
        done = Box(
            reach.top,
            kept.bottom - RAMP if kept.bottom < region.bottom else kept.bottom,
            reach.left,
            kept.right - RAMP if kept.right < region.right else kept.right,
        )
        inner = done.within(reach).scaled(scale)
        left = faded[:, inner.right :]
        columns = faded[:, inner.columns]
        if kept.top > region.top:
            strip = above.pop(kept.left)
            columns[: strip.shape[0]] += strip
        if kept.bottom < region.bottom:
            above[kept.left] = columns[inner.bottom :].copy()
        yield done, columns[inner.rows]


def _weights(kept: Box, region: Box, scale: int) -> Image:
    """`(h, w, 1)`: how much of the result over the grown box counts."""
    rows = _fade(kept.top > region.top, kept.height, kept.bottom < region.bottom, scale)
    columns = _fade(kept.left > region.left, kept.width, kept.right < region.right, scale)
    return np.outer(rows, columns)[..., None]


def _fade(before: bool, length: int, after: bool, scale: int) -> Image:
    """Weights along one axis: rising where a neighbour comes before, falling where one follows."""
    steps = (np.arange(2 * RAMP * scale, dtype=np.float32) + 0.5) / (2 * RAMP * scale)
    rise = steps * steps * (3 - 2 * steps)  # smooth at both ends
    flat = length - RAMP * (before + after)
    middle = np.ones(flat * scale, np.float32)
    return np.concatenate([rise[: len(rise) * before], middle, rise[::-1][: len(rise) * after]])


__all__ = ["RAMP", "blend"]
