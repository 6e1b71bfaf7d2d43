"""Differences of pictures in 8-bit grey levels, whatever range the networks use.

The published recipe compares pictures in 0..255, so its loss values read the same here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

GREY_LEVELS: Final = 255.0
CHARBONNIER_EPSILON: Final = 0.255  # Lai et al. 2017 use 1e-3 on [0, 1]


def mse(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean squared error in grey levels squared, of pictures in [0, 1]."""
    return F.mse_loss(sr * GREY_LEVELS, hr * GREY_LEVELS)


def l1(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error in grey levels, of pictures in [0, 1]."""
    return F.l1_loss(sr * GREY_LEVELS, hr * GREY_LEVELS)


def charbonnier(sr: Tensor, hr: Tensor) -> Tensor:
    """L1 rounded off near zero (Lai et al. 2017), in grey levels, of pictures in [0, 1]."""
    difference = (sr - hr) * GREY_LEVELS
    return torch.sqrt(difference * difference + CHARBONNIER_EPSILON**2).mean()


PIXEL_LOSSES: Final[Mapping[str, Callable[[Tensor, Tensor], Tensor]]] = {
    "mse": mse,
    "l1": l1,
    "charbonnier": charbonnier,
}

__all__ = ["PIXEL_LOSSES", "charbonnier", "l1", "mse"]
