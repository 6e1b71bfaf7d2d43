"""What is wrong with a picture, measured: noise, JPEG blocks, softness. Arithmetic, no network.

Each figure is robust to content: taken over many 8x8 blocks or the strongest edges, so that a
sky, a meadow and a face of one quality measure alike. `engine.suits` says what follows from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.imaging.arrays import Image

Plane = npt.NDArray[np.float32]

MEASURED_SIDE: Final = 768
"""The middle of a larger picture is measured; more pixels change nothing but the time."""

SMALLEST_SIDE: Final = 24
"""Pixels a side below which nothing can be said: three blocks."""

_BLOCK: Final = 8  # JPEG's, and a good size for local statistics
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)
_DARK, _LIGHT = 12, 243  # beyond these, clipping hides noise
_ACTIVE: Final = 40  # sum of a block's AC coefficients, grey levels, from which it tells of JPEG
_ZERO: Final = 0.75  # grey levels below which a coefficient counts as quantised away
_STEP: Final = 12  # grey levels above which a step is an edge of the picture, not of a block


@dataclass(frozen=True, slots=True)
class Defects:
    """Figures of a picture; grey levels are those of 255."""

    noise: float
    """Fine residual of luma in the calmest tenth of all blocks, in grey levels (its noise)."""

    grain: float
    """The same in the median block: noise and fine detail together."""

    colour_grain: float
    """The same in colour differences; JPEG and blur remove it before luma's. 0 in grey pictures."""

    blocks: float
    """Share of fine coefficients that vanish on JPEG's grid more than beside it, 0 to 1."""

    edges: float
    """Steepest slopes over those of the picture at half the size: 0.6 soft, 0.9 sharp."""

    fineness: float
    """Fine residual over that at half the size: 0.3 soft, 0.7 sharp, above 1 noise."""

    side: float
    """The shorter side of what was measured, in pixels: how much the rest is worth."""

    drawn: bool
    """So few grey levels that it is a drawing, a text or empty, not a photograph."""

    jpeg_quality: int | None = None
    """What the file's header says of its quantisation (see `jpeg_quality`); None for no JPEG."""


def measure(image: Image, *, jpeg_quality: int | None = None) -> Defects | None:
    """The defects of float32 `(H, W, 1|3)` in [0, 1]; None below 24 pixels a side.

    Deterministic; some 50 ms whatever the size.
    """
    if min(image.shape[:2]) < SMALLEST_SIDE:
        return None
    top, left = (max(0, side - MEASURED_SIDE) // 2 for side in image.shape[:2])
    part = image[top : top + MEASURED_SIDE, left : left + MEASURED_SIDE] * np.float32(255)
    rgb = part if part.shape[2] == 3 else np.repeat(part, 3, axis=2)
    luma: Plane = np.asarray(rgb @ _LUMA, np.float32)
    half = _halved(luma)
    residual, coarse = _residual(luma), _residual(half)
    levels = _blocks(luma[1:-1, 1:-1]).mean(axis=(1, 2))
    usable = (levels > _DARK) & (levels < _LIGHT)
    if usable.sum() < _BLOCK:
        usable[:] = True
    strength = np.sqrt((_blocks(residual) ** 2).mean(axis=(1, 2)))[usable]
    colours = [
        _blocks(_residual(np.asarray(rgb[..., channel] - luma, np.float32))) for channel in (0, 2)
    ]
    colour = np.sqrt(sum((plane**2).mean(axis=(1, 2)) for plane in colours) / 2)[usable]
    return Defects(
        noise=float(np.percentile(strength, 10)),
        grain=float(np.median(strength)),
        colour_grain=float(np.median(colour)),
        blocks=_blockiness(luma),
        edges=_steepest(luma) / max(_steepest(half), 1e-3),
        fineness=float(np.abs(residual).mean() / max(np.abs(coarse).mean(), 1e-3)),
        side=float(min(luma.shape)),
        drawn=len(np.unique(luma.round())) <= 16,
        jpeg_quality=jpeg_quality,
    )


def middle_of(frames: list[Defects]) -> Defects:
    """The median of each figure over frames of a film; at least one."""
    figures = ("noise", "grain", "colour_grain", "blocks", "edges", "fineness", "side")
    medians: dict[str, Any] = {
        name: float(np.median([getattr(f, name) for f in frames])) for name in figures
    }
    return replace(frames[0], **medians, drawn=all(frame.drawn for frame in frames))


def jpeg_quality(luma_table: list[int]) -> int:
    """Quality 1 to 100 as libjpeg counts it, from the 64 numbers of the luma quantisation table.

    libjpeg scales its table (mean 57.6) by `200 - 2 * quality` percent from 50 up and by
    `5000 / quality` below (jcparam.c, jpeg_quality_scaling).

    >>> jpeg_quality([6, 4, 4, 6, 10, 16, 20, 24] * 8)
    91
    """
    percent = 100 * sum(luma_table) / len(luma_table) / 57.625
    quality = 100 - percent / 2 if percent <= 100 else 5000 / percent
    return int(np.clip(round(quality), 1, 100))


def _blocks(plane: Plane, top: int = 0, left: int = 0) -> Plane:
    """`(count, 8, 8)`: the whole blocks from a corner on."""
    plane = plane[top:, left:]
    rows, columns = plane.shape[0] // _BLOCK, plane.shape[1] // _BLOCK
    cut = plane[: rows * _BLOCK, : columns * _BLOCK].reshape(rows, _BLOCK, columns, _BLOCK)
    return cut.swapaxes(1, 2).reshape(-1, _BLOCK, _BLOCK)


def _residual(plane: Plane) -> Plane:
    """Second difference along both axes, scaled to keep white noise's deviation (Immerkaer 1996)."""
    residual: Plane = np.diff(np.diff(plane, 2, axis=0), 2, axis=1) / np.float32(6)
    return residual


def _halved(plane: Plane) -> Plane:
    rows, columns = plane.shape[0] // 2, plane.shape[1] // 2
    halved: Plane = plane[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2).mean(axis=(1, 3))
    return halved


def _steepest(plane: npt.NDArray[Any]) -> float:
    slopes = np.hypot(np.diff(plane, axis=0)[:, :-1], np.diff(plane, axis=1)[:-1])
    return float(np.percentile(slopes, 99))


def _blockiness(luma: Plane) -> float:
    """How many more fine coefficients vanish on the likeliest 8x8 grid than half a block beside."""
    top, left = (_grid_start(luma if axis == 0 else luma.T) for axis in (0, 1))
    return _vanished(luma, top, left) - _vanished(luma, (top + 4) % 8, (left + 4) % 8)


def _grid_start(luma: Plane) -> int:
    """First row of a block: where steps between rows stick out most from their neighbours."""
    steps = np.abs(np.diff(luma, axis=0))
    excess = steps[1:-1] - (steps[:-2] + steps[2:]) / 2
    rows = np.clip(excess, -_STEP, _STEP).mean(axis=1)
    phases = [rows[phase::_BLOCK].mean() for phase in range(_BLOCK)]
    return (int(np.argmax(phases)) + 2) % _BLOCK  # excess[i] is the step from row i + 1 to i + 2


def _vanished(luma: Plane, top: int, left: int) -> float:
    """Share of high-frequency coefficients near 0 in the blocks with something in them."""
    index = np.arange(_BLOCK)
    basis = np.cos((2 * index + 1) * index[:, None] * np.pi / 16).astype(np.float32) / 2
    basis[0] /= np.sqrt(np.float32(2))
    coefficients = np.abs(basis @ _blocks(luma - 128, top, left) @ basis.T)
    active = coefficients.sum(axis=(1, 2)) - coefficients[:, 0, 0] > _ACTIVE
    if active.sum() < _BLOCK:
        return 0.0
    fine = index[:, None] + index >= _BLOCK - 1
    return float((coefficients[active][:, fine] < _ZERO).mean())


__all__ = ["MEASURED_SIDE", "SMALLEST_SIDE", "Defects", "jpeg_quality", "measure", "middle_of"]
