"""PSNR against cost as inline SVG, coloured by the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import Any, Final, NamedTuple

_LABEL_GAP: Final = 14
"""Least vertical distance of two labels of lines."""

_DIGIT: Final = 6.0
"""About the width of a letter of a label."""

Row = dict[str, Any]


class Frame(NamedTuple):
    """Size of a drawing and its margins, in units of about a pixel."""

    width: int
    height: int
    right: int
    """Where the lines end."""
    left: int = 52
    top: int = 18
    bottom: int = 46


WIDE: Final = Frame(620, 330, right=452)
"""Published scores are named in a margin on the right."""
NARROW: Final = Frame(270, 300, right=252, left=34)
"""For a phone, at a size that can be read there: they are listed below."""


def _with_list(frame: Frame, lines: int) -> Frame:
    more = _LABEL_GAP * lines + 6
    return frame._replace(height=frame.height + more, bottom=frame.bottom + more)


class Axes(NamedTuple):
    """Ranges of the plot: seconds per megapixel (logarithmic) and dB."""

    frame: Frame
    cost_low: float
    cost_high: float
    psnr_low: float
    psnr_high: float

    def x(self, cost: float) -> float:
        """Pixels from the left."""
        share = (log10(cost) - log10(self.cost_low)) / log10(self.cost_high / self.cost_low)
        return self.frame.left + share * (self.frame.right - self.frame.left)

    def y(self, psnr: float) -> float:
        """Pixels from the top."""
        share = (psnr - self.psnr_low) / (self.psnr_high - self.psnr_low)
        low = self.frame.height - self.frame.bottom
        return low - share * (low - self.frame.top)


def plot_svg(rows: Sequence[Row], *, title: str, narrow: bool = False) -> str:
    """Measured rows as points, published ones (PSNR-Y only) as lines; empty without points."""
    measured = [r for r in rows if not r.get("published") and r["psnr_y"] is not None]
    quoted = [r for r in rows if r.get("published") and r["psnr_y"] is not None]
    points = [(_cost(row), float(row["psnr_y"]), str(row["model"])) for row in measured]
    if not points:
        return ""
    frame = _with_list(NARROW, len(quoted)) if narrow else WIDE
    psnrs = [float(r["psnr_y"]) for r in [*measured, *quoted]]
    axes = _axes(frame, [c for c, _, _ in points], psnrs)
    parts = [*_grid(axes), *_lines(axes, quoted)]
    for number, (cost, psnr, model) in enumerate(points):
        parts.append(_point(axes, number, cost, psnr, model))
    return (
        f'<svg viewBox="0 0 {frame.width} {frame.height}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _point(axes: Axes, number: int, cost: float, psnr: float, model: str) -> str:
    """A dot and its name, on the side where there is more room, shortened to fit there."""
    x, y, frame = axes.x(cost), axes.y(psnr), axes.frame
    before = x > (frame.left + frame.right) / 2
    anchor, dx = ("end", -10) if before else ("start", 10)
    room = (x if before else frame.right - x) - 10 - 6 * _DIGIT
    name = _shortened(model, int(room / _DIGIT))
    return (
        f'<g class="point c{number % 6}"><circle cx="{x:.1f}" cy="{y:.1f}" r="6">'
        f"<title>{escape(model)}: {psnr:.2f} dB, {cost:.3g} s per megapixel</title></circle>"
        f'<text x="{x + dx:.1f}" y="{y - 9:.1f}" text-anchor="{anchor}">{escape(name)} '
        f'<tspan class="strong">{psnr:.2f}</tspan></text></g>'
    )


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else f"{text[: max(length - 1, 1)]}…"


def _cost(row: Row) -> float:
    """Seconds per megapixel of result."""
    return 1 / max(float(row["megapixels_per_second"]), 1e-6)


def _axes(frame: Frame, costs: Sequence[float], psnrs: Sequence[float]) -> Axes:
    low, high = floor(log10(min(costs)) - 0.1), ceil(log10(max(costs)) + 0.1)
    margin = max(0.12 * (max(psnrs) - min(psnrs)), 0.3)
    return Axes(frame, 10.0**low, 10.0**high, min(psnrs) - margin, max(psnrs) + margin)


def _grid(axes: Axes) -> list[str]:
    parts: list[str] = []
    left, right, top = axes.frame.left, axes.frame.right, axes.frame.top
    bottom = axes.frame.height - axes.frame.bottom
    step = next(s for s in (0.2, 0.5, 1, 2, 5, 10, 20) if (axes.psnr_high - axes.psnr_low) / s <= 7)
    value = ceil(axes.psnr_low / step) * step
    while value <= axes.psnr_high:
        y = axes.y(value)
        parts.append(f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{left - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
        value = round(value + step, 6)
    for power in range(round(log10(axes.cost_low)), round(log10(axes.cost_high)) + 1):
        x = axes.x(10.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>')
        label = f"{10.0**power:g}"
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    middle = (left + right) / 2
    parts.append(
        f'<text class="axis" x="{middle:.0f}" y="{bottom + 38}" text-anchor="middle">'
        "seconds per megapixel of result, here</text>"
        f'<text class="axis" x="4" y="{top - 4}">PSNR-Y, dB</text>'
    )
    return parts


def _lines(axes: Axes, quoted: Sequence[Row]) -> list[str]:
    """Published scores have no cost on this machine: a line across, named beside or below."""
    frame = axes.frame
    beside = frame.right + 100 < frame.width
    x, label_y = (frame.right + 6, float("inf")) if beside else (frame.left, frame.height + 4.0)
    parts: list[str] = []
    for row in sorted(quoted, key=lambda r: float(r["psnr_y"])):
        y = axes.y(float(row["psnr_y"]))
        label_y = min(y + 4 if beside else label_y, label_y - _LABEL_GAP)
        parts.append(
            f'<g class="quoted"><line x1="{frame.left}" x2="{frame.right}" y1="{y:.1f}" '
            f'y2="{y:.1f}"/><text x="{x}" y="{label_y:.1f}">{escape(str(row["model"]))} '
            f"{row['psnr_y']:.2f}</text></g>"
        )
    return parts


__all__ = ["plot_svg"]
