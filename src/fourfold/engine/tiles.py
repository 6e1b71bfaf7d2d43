"""Tile geometry: pure integers, no arrays.

A picture is cut into tiles that cover each pixel once. The network sees a window: the tile and a
halo of context around it, so that what is kept equals the whole-picture result. All windows of a
plan have one size; where the picture ends there is no halo, and the outer tiles are larger by it.
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

    @property
    def area(self) -> int:
        """Pixels."""
        return self.height * self.width

    def grow(self, halo: int, *, inside: Box) -> Box:
        """The box with `halo` pixels around it, as far as they lie `inside`."""
        return Box(
            max(self.top - halo, inside.top),
            min(self.bottom + halo, inside.bottom),
            max(self.left - halo, inside.left),
            min(self.right + halo, inside.right),
        )

    def common(self, other: Box) -> Box:
        """The rectangle that lies in both boxes, which overlap."""
        return self.grow(0, inside=other)

    def within(self, outer: Box) -> Box:
        """The same rectangle in coordinates of `outer`."""
        return Box(
            self.top - outer.top,
            self.bottom - outer.top,
            self.left - outer.left,
            self.right - outer.left,
        )

    def margins(self, outer: Box) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
        """Pixels between this box and `outer` around it, as `numpy.pad` takes them for `(H, W, C)`."""
        inner = self.within(outer)
        rows, columns = outer.height - inner.bottom, outer.width - inner.right
        return (inner.top, rows), (inner.left, columns), (0, 0)

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
    length: int, *, tile: int, halo: int, start: int = 0, stop: int | None = None, step: int = 1
) -> list[Span]:
    """Cut `[start, stop)` of `[0, length)` into the fewest windows of `tile + 2 * halo` or less.

    Windows overlap by two halos at least, are equally large and together reach `halo` beyond
    the range, or to the end of `[0, length)`. A tile next to such an end may be larger than
    `tile` by the halo that its window does not need there. Windows begin and end at multiples of
    `step`, of which `length` is one.

    >>> [(s.start, s.stop, s.keep_start, s.keep_stop) for s in plan_spans(10, tile=3, halo=2)]
    [(0, 7, 0, 5), (3, 10, 5, 10)]
    >>> plan_spans(3, tile=64, halo=40)
    [Span(start=0, stop=3, keep_start=0, keep_stop=3)]
    """
    stop = length if stop is None else stop
    if step > 1:
        cells = plan_spans(
            length // step,
            tile=max(tile // step, 1),
            halo=ceil(halo / step),
            start=start // step,
            stop=ceil(stop / step),
        )
        return [
            Span(
                cell.start * step,
                cell.stop * step,
                max(cell.keep_start * step, start),
                min(cell.keep_stop * step, stop),
            )
            for cell in cells
        ]
    first, last = max(start - halo, 0), min(stop + halo, length)
    count = max(ceil((last - first - 2 * halo) / tile), 1)
    window = ceil((last - first + 2 * (count - 1) * halo) / count)
    starts = [first + i * (last - first - window) // max(count - 1, 1) for i in range(count)]
    bounds = [start, *(at + halo for at in starts[1:]), stop]
    return [Span(starts[i], starts[i] + window, *bounds[i : i + 2]) for i in range(count)]


def plan_tiles(
    height: int, width: int, *, tile: int, halo: int, region: Box | None = None, step: int = 1
) -> Iterator[tuple[Box, Box]]:
    """(kept box, window box) of every tile of a region (the whole picture by default), row by row."""
    region = region or Box(0, height, 0, width)
    options = {"tile": tile, "halo": halo, "step": step}
    rows = plan_spans(height, start=region.top, stop=region.bottom, **options)
    columns = plan_spans(width, start=region.left, stop=region.right, **options)
    for row in rows:
        for column in columns:
            yield (
                Box(row.keep_start, row.keep_stop, column.keep_start, column.keep_stop),
                Box(row.start, row.stop, column.start, column.stop),
            )


def window_overhead(height: int, width: int, *, tile: int, halo: int) -> float:
    """Pixels computed over pixels kept: 1.0 means no work is done twice.

    >>> round(window_overhead(1024, 1024, tile=256, halo=40), 2)
    1.52
    """
    pixels = sum(w.area for _, w in plan_tiles(height, width, tile=tile, halo=halo))
    return pixels / (height * width)


__all__ = ["Box", "Span", "plan_spans", "plan_tiles", "window_overhead"]
