"""Sample grids: what the network makes of validation pictures, beside bicubic and the original."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from fourfold.imaging.resize import imresize

Pixels = npt.NDArray[np.uint8]

SIDE: Final = 192
"""Largest side of a grid's cell; larger pictures show their middle."""
COLUMNS: Final = ("bicubic", "result", "original")
_GAP: Final = 4


def sample_grid(rows: Sequence[tuple[Pixels, Pixels, Pixels]]) -> Pixels:
    """One row per picture: LR enlarged by bicubic, SR, HR; each cut to the same middle part."""
    lines = []
    for lr, sr, hr in rows:
        bicubic = imresize(lr, size=(hr.shape[0], hr.shape[1]))
        lines.append(_join([_middle(image) for image in (bicubic, sr, hr)], axis=1))
    return _join(lines, axis=0)


def labelled(grid: Pixels) -> Pixels:
    """The grid with a line above it that names its columns."""
    from PIL import Image, ImageDraw

    strip = Image.new("RGB", (grid.shape[1], 20), "white")
    pen = ImageDraw.Draw(strip)
    for column, name in enumerate(COLUMNS):
        pen.text((column * (SIDE + _GAP) + 4, 4), name, fill="black")
    return np.concatenate([np.asarray(strip), grid])


def _middle(image: Pixels) -> Pixels:
    top, left = (max(side - SIDE, 0) // 2 for side in image.shape[:2])
    cut = image[top : top + SIDE, left : left + SIDE]
    cell = np.full((SIDE, SIDE, 3), 255, np.uint8)
    cell[: cut.shape[0], : cut.shape[1]] = cut
    return cell


def _join(parts: list[Pixels], *, axis: int) -> Pixels:
    shape = list(parts[0].shape)
    shape[axis] = _GAP
    gap = np.full(shape, 255, np.uint8)
    spaced = [piece for part in parts for piece in (gap, part)][1:]
    return np.concatenate(spaced, axis=axis)


__all__ = ["labelled", "sample_grid"]
