"""Y'CbCr in bytes: what of it each of R, G and B is, and how films hold its planes."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

# ITU-T H.273, table 4: weights of red and blue in luma, by code of the matrix.
_LUMA: Final = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}


class Planes(NamedTuple):
    """A picture as most films hold it: Y, and Cb and Cr of each square of four pixels."""

    data: npt.NDArray[np.uint8]
    """`(H * 3 / 2, W)`: the rows of Y, then all bytes of Cb, then all of Cr; H is a multiple of 4."""


class Yuv(NamedTuple):
    """How R'G'B' becomes Y'CbCr of 8 bits."""

    matrix: int
    """Code of ITU-T H.273: 1, 4, 5, 7 or 9."""
    full_range: bool

    @property
    def weights(self) -> npt.NDArray[np.float64]:
        """`(3, 3)`: what of Y, Cb and Cr, in steps, R, G and B in [0, 1] make."""
        red, blue = _LUMA[self.matrix]
        luma = np.array([red, 1 - red - blue, blue])
        cb, cr = ((np.eye(3)[c] - luma) / (2 - 2 * luma[c]) for c in (2, 0))
        y_steps, c_steps = (255, 255) if self.full_range else (219, 224)
        return np.stack([luma * y_steps, cb * c_steps, cr * c_steps])

    @property
    def offsets(self) -> tuple[int, int, int]:
        """Y, Cb and Cr of black."""
        return (0 if self.full_range else 16), 128, 128

    @property
    def highest(self) -> tuple[int, int, int]:
        """Y, Cb and Cr may be; the least is Y of black for all three."""
        return (255, 255, 255) if self.full_range else (235, 240, 240)


__all__ = ["Planes", "Yuv"]
