"""PSNR against cost as inline SVG, coloured by the page's style sheet."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10
from typing import Any, Final, NamedTuple

WIDTH: Final = 620
HEIGHT: Final = 330
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 168, 18, 46
_LABEL_GAP: Final = 14
"""Least vertical distance of two labels in the right margin."""

Row = dict[str, Any]


class Axes(NamedTuple):
    """Ranges of the plot: seconds per megapixel (logarithmic) and dB."""

    cost_low: float
    cost_high: float
    psnr_low: float
    psnr_high: float

    def x(self, cost: float) -> float:
        """Pixels from the left."""
        share = (log10(cost) - log10(self.cost_low)) / log10(self.cost_high / self.cost_low)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, psnr: float) -> float:
        """Pixels from the top."""
        share = (psnr - self.psnr_low) / (self.psnr_high - self.psnr_low)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)


def plot_svg(rows: Sequence[Row], *, title: str) -> str:
    """Measured rows as points, published ones (PSNR-Y only) as lines; empty without points."""
    measured = [r for r in rows if not r.get("published") and r["psnr_y"] is not None]
    quoted = [r for r in rows if r.get("published") and r["psnr_y"] is not None]
    points = [(_cost(row), float(row["psnr_y"]), str(row["model"])) for row in measured]
    if not points:
        return ""
    axes = _axes([c for c, _, _ in points], [float(r["psnr_y"]) for r in [*measured, *quoted]])
    parts = [*_grid(axes), *_lines(axes, quoted)]
    for number, (cost, psnr, model) in enumerate(points):
        x, y = axes.x(cost), axes.y(psnr)
        anchor, dx = ("end", -10) if x > WIDTH - _RIGHT - 90 else ("start", 10)
        parts.append(
            f'<g class="point c{number % 6}"><circle cx="{x:.1f}" cy="{y:.1f}" r="6">'
            f"<title>{escape(model)}: {psnr:.2f} dB, {cost:.3g} s per megapixel</title></circle>"
            f'<text x="{x + dx:.1f}" y="{y - 9:.1f}" text-anchor="{anchor}">{escape(model)} '
            f'<tspan class="strong">{psnr:.2f}</tspan></text></g>'
        )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(title)}">'
        f"{''.join(parts)}</svg>"
    )


def _cost(row: Row) -> float:
    """Seconds per megapixel of result."""
    return 1 / max(float(row["megapixels_per_second"]), 1e-6)


def _axes(costs: Sequence[float], psnrs: Sequence[float]) -> Axes:
    low, high = floor(log10(min(costs)) - 0.1), ceil(log10(max(costs)) + 0.1)
    margin = max(0.12 * (max(psnrs) - min(psnrs)), 0.3)
    return Axes(10.0**low, 10.0**high, min(psnrs) - margin, max(psnrs) + margin)


def _grid(axes: Axes) -> list[str]:
    parts: list[str] = []
    right, bottom = WIDTH - _RIGHT, HEIGHT - _BOTTOM
    step = next(s for s in (0.2, 0.5, 1, 2, 5, 10, 20) if (axes.psnr_high - axes.psnr_low) / s <= 7)
    value = ceil(axes.psnr_low / step) * step
    while value <= axes.psnr_high:
        y = axes.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:g}</text>')
        value = round(value + step, 6)
    for power in range(round(log10(axes.cost_low)), round(log10(axes.cost_high)) + 1):
        x = axes.x(10.0**power)
        parts.append(f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{bottom}"/>')
        label = f"{10.0**power:g}"
        parts.append(f'<text x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    middle = (_LEFT + right) / 2
    parts.append(
        f'<text class="axis" x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle">'
        "seconds per megapixel of result, here</text>"
        f'<text class="axis" x="14" y="{_TOP - 4}">PSNR-Y, dB</text>'
    )
    return parts


def _lines(axes: Axes, quoted: Sequence[Row]) -> list[str]:
    """Published scores have no cost on this machine: a line across, named in the margin."""
    right = WIDTH - _RIGHT
    parts: list[str] = []
    lowest = float("inf")
    for row in sorted(quoted, key=lambda r: float(r["psnr_y"])):
        y = axes.y(float(row["psnr_y"]))
        label_y = min(y + 4, lowest - _LABEL_GAP)
        lowest = label_y
        parts.append(
            f'<g class="quoted"><line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{right + 6}" y="{label_y:.1f}">{escape(str(row["model"]))} '
            f"{row['psnr_y']:.2f}</text></g>"
        )
    return parts


__all__ = ["plot_svg"]
