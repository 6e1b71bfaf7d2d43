"""A value of the network over a part of the picture."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fourfold.engine.backend import Tensor4
from fourfold.engine.tiles import Box


@dataclass(frozen=True, slots=True)
class Region:
    """`array` `(1, C, H * s, W * s)` holds the value over `box`, given in LR pixels."""

    box: Box
    array: Tensor4

    @classmethod
    def empty(cls, box: Box, channels: int, scale: int) -> Region:
        """Memory for a value over `box`, to be filled by `paste`."""
        shape = (1, channels, box.height * scale, box.width * scale)
        return cls(box, np.empty(shape, np.float32))

    def crop(self, box: Box) -> Tensor4:
        """The value over a smaller box (of a value at scale 1)."""
        inner = box.within(self.box)
        return self.array[:, :, inner.rows, inner.columns]

    def paste(self, output: Tensor4, *, kept: Box, window: Box, scale: int) -> None:
        """Take the `kept` box out of a window's output."""
        into, crop = kept.within(self.box).scaled(scale), kept.within(window).scaled(scale)
        self.array[:, :, into.rows, into.columns] = output[:, :, crop.rows, crop.columns]


__all__ = ["Region"]
