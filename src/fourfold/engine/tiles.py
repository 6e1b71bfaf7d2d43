"""Tile geometry: pure integers, no arrays.

A picture is cut into tiles that cover each pixel once. The network sees a window: the tile and a
halo of context around it, so that what is kept equals the whole-picture result. Windows are
shifted inside at the borders instead of shrunk: all windows of a plan have one size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil

from fourfold.imaging.turns import Turn


@dataclass(frozen=True, slots=True)
class Span:
    """One axis of a window: `[start, stop)` is read, `[keep_start, keep_stop)` is kept."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of pixels, half open."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def grow(self, halo: int, *, height: int, width: int) -> Box:
        """The box with `halo` pixels around it, clipped to a picture of `height` by `width`."""
        return Box(
            max(self.top - halo, 0),
            min(self.bottom + halo, height),
            max(self.left - halo, 0),
            min(self.right + halo, width),
        )

    def within(self, outer: Box) -> Box:
        """The same rectangle in coordinates of `outer`."""
        return Box(
            self.top - outer.top,
            self.bottom - outer.top,
            self.left - outer.left,
            self.right - outer.left,
        )

    def scaled(self, scale: int) -> Box:
        """The rectangle after enlargement."""
        return Box(self.top * scale, self.bottom * scale, self.left * scale, self.right * scale)

    def turned(self, turn: Turn, height: int, width: int) -> Box:
        """Where the rectangle lies after `turn` of a picture of `height` by `width`."""
        box = self
        for _ in range(turn.quarters):
            box = Box(width - box.right, width - box.left, box.top, box.bottom)
            height, width = width, height
        return Box(box.top, box.bottom, width - box.right, width - box.left) if turn.flip else box

    @property
    def rows(self) -> slice:
        """Rows as an index."""
        return slice(self.top, self.bottom)

    @property
    def columns(self) -> slice:
        """Columns as an index."""
        return slice(self.left, self.right)


def plan_spans(
    length: int, *, tile: int, halo: int, start: int = 0, stop: int | None = None
) -> list[Span]:
    """Cut `[start, stop)` of `[0, length)` into near-equal tiles of at most `tile`, with windows.

    >>> [(s.start, s.stop, s.keep_start, s.keep_stop) for s in plan_spans(10, tile=5, halo=2)]
    [(0, 9, 0, 5), (1, 10, 5, 10)]
    >>> plan_spans(3, tile=64, halo=40)
    [Span(start=0, stop=3, keep_start=0, keep_stop=3)]
    """
    stop = length if stop is None else stop
    extent = stop - start
    count = ceil(extent / tile)
    window = min(length, ceil(extent / count) + 2 * halo)
    spans = []
    for i in range(count):
        keep_start, keep_stop = start + i * extent // count, start + (i + 1) * extent // count
        first = min(max(keep_start - halo, 0), length - window)
        spans.append(Span(first, first + window, keep_start, keep_stop))
    return spans


def plan_tiles(
    height: int, width: int, *, tile: int, halo: int, region: Box | None = None
) -> Iterator[tuple[Box, Box]]:
    """(kept box, window box) of every tile of a region (the whole picture by default), row by row."""
    region = region or Box(0, height, 0, width)
    rows = plan_spans(height, tile=tile, halo=halo, start=region.top, stop=region.bottom)
    columns = plan_spans(width, tile=tile, halo=halo, start=region.left, stop=region.right)
    for row in rows:
        for column in columns:
            yield (
                Box(row.keep_start, row.keep_stop, column.keep_start, column.keep_stop),
                Box(row.start, row.stop, column.start, column.stop),
            )


def window_overhead(height: int, width: int, *, tile: int, halo: int) -> float:
    """Pixels computed over pixels kept: 1.0 means no work is done twice.

    >>> round(window_overhead(1024, 1024, tile=256, halo=40), 2)
    1.72
    """
    pixels = sum(w.height * w.width for _, w in plan_tiles(height, width, tile=tile, halo=halo))
    return pixels / (height * width)


__all__ = ["Box", "Span", "plan_spans", "plan_tiles", "window_overhead"]
