"""The 8 flips and quarter turns of a picture, each with its inverse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Turn:
    """`quarters` counter-clockwise quarter turns, then a left-right flip if `flip`."""

    quarters: int
    flip: bool

    def do(self, image: Array) -> Array:
        """Apply to the first two axes."""
        turned = np.rot90(image, self.quarters)
        return turned[:, ::-1] if self.flip else turned

    def undo(self, image: Array) -> Array:
        """The inverse of `do`.

        >>> picture = np.arange(6).reshape(2, 3)
        >>> all((turn.undo(turn.do(picture)) == picture).all() for turn in TURNS)
        True
        """
        flipped = image[:, ::-1] if self.flip else image
        return np.rot90(flipped, -self.quarters)


TURNS: Final = tuple(Turn(quarters, flip) for flip in (False, True) for quarters in range(4))

__all__ = ["TURNS", "Turn"]
