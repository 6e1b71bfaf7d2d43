"""Flicker: how much an enlarged film changes where the film itself stands still.

A GAN may draw other texture into the same wall in every frame. Bicubic enlargement adds nothing of
its own, so where it hardly changes from one frame to the next, neither should the result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ImageContractError
from fourfold.imaging.color import rgb_to_y

Rgb8 = npt.NDArray[np.uint8]

STILL: Final = 2.0
"""Largest change of bicubic luma, in steps of 255, at which a pixel counts as standing still."""


@dataclass(slots=True)
class Flicker:
    """Sums over the pixels that stand still; add pairs of frames, then read the properties."""

    still: int = 0
    pixels: int = 0
    sr_change: float = 0.0
    bicubic_change: float = 0.0

    def add(self, sr: tuple[Rgb8, Rgb8], bicubic: tuple[Rgb8, Rgb8]) -> None:
        """Count two consecutive frames, each enlarged both ways, uint8 `(H, W, 3)`."""
        if len({picture.shape for picture in (*sr, *bicubic)}) != 1:
            shapes = [picture.shape for picture in (*sr, *bicubic)]
            raise ImageContractError(f"flicker: want four pictures of one size, got {shapes}")
        steady = np.abs(rgb_to_y(bicubic[1]) - rgb_to_y(bicubic[0]))
        change = np.abs(rgb_to_y(sr[1]) - rgb_to_y(sr[0]))
        still = steady <= STILL
        self.still += int(still.sum())
        self.pixels += still.size
        self.sr_change += float(change[still].sum())
        self.bicubic_change += float(steady[still].sum())

    @property
    def still_share(self) -> float:
        """Part of the pixels that stand still, 0 to 1."""
        return self.still / self.pixels if self.pixels else 0.0

    @property
    def sr(self) -> float:
        """Mean change of the result's luma on them, in steps of 255; 0 where nothing is still."""
        return self.sr_change / self.still if self.still else 0.0

    @property
    def bicubic(self) -> float:
        """The same of bicubic."""
        return self.bicubic_change / self.still if self.still else 0.0


__all__ = ["STILL", "Flicker"]
