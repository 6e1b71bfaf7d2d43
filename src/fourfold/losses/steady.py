"""Steadiness: when a picture moves a little, its enlargement is to move with it and not to change."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SHIFT = 4
"""A picture moves by up to so many pixels of high resolution: one of low resolution at x4."""
_ZOOM = 0.02
_MARGIN = 8
"""Pixels of high resolution at each border that are not compared: they have come from outside."""


class SteadyLoss(nn.Module):
    """How far the enlargement of a moved picture is from the moved enlargement.

    Movements are shifts by whole pixels of high resolution, thus fractions of one of low resolution,
    and every other time a zoom by up to 2 % as well; the moved picture gets noise of its own, as the
    next frame of a film has (Eilertsen et al. 2019, "Single-frame regularization for temporally stable
    CNNs"). One movement a step, for all its crops, from torch's random numbers.
    """

    def __init__(self, distance: Callable[[Tensor, Tensor], Tensor], noise: float) -> None:
        """`noise`: its standard deviation, in steps of 255."""
        super().__init__()
        self.distance, self.noise = distance, noise
        self._movement: Tensor | None = None

    def next_frame(self, lr: Tensor, *, scale: int) -> Tensor:
        """Low-resolution crops `(N, 3, h, w)` in [0, 1], a moment later."""
        height, width = lr.shape[-2:]
        shift = torch.randint(-_SHIFT, _SHIFT + 1, (2,)).tolist()
        zoom = 1.0
        if torch.rand(()) < 0.5:  # a zoom blurs what it is compared with: not always
            zoom += _ZOOM * (2 * torch.rand(()).item() - 1)
        right, down = 2 * shift[0] / (scale * width), 2 * shift[1] / (scale * height)
        self._movement = torch.tensor([[zoom, 0, right], [0, zoom, down]], device=lr.device)
        moved = self._moved(lr)
        return (moved + torch.randn_like(moved) * (self.noise / 255)).clamp(0, 1)

    def forward(self, sr: Tensor, later: Tensor) -> Tensor:
        """The loss of two enlargements, of the crops and of their `next_frame`."""
        inner = (..., slice(_MARGIN, -_MARGIN), slice(_MARGIN, -_MARGIN))
        return self.distance(later[inner], self._moved(sr)[inner])

    def _moved(self, pictures: Tensor) -> Tensor:
        assert self._movement is not None
        movement = self._movement.to(pictures.dtype).expand(len(pictures), 2, 3)
        grid = F.affine_grid(movement, list(pictures.shape), align_corners=False)
        return F.grid_sample(
            pictures, grid, mode="bicubic", padding_mode="reflection", align_corners=False
        )


__all__ = ["SteadyLoss"]
