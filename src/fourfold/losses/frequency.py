"""Fine detail alone: what a small mean removes."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn


class HighFrequencyLoss(nn.Module):
    """A difference of two pictures `(N, 3, H, W)` after their 3x3 means are taken away.

    Where a pixel loss is content with the mean of all plausible details, this one asks for their
    contrast. The border of one pixel, whose means would need other pixels, is left out.
    """

    def __init__(self, distance: Callable[[Tensor, Tensor], Tensor]) -> None:
        super().__init__()
        self.distance = distance

    def forward(self, sr: Tensor, target: Tensor) -> Tensor:
        """The loss, a scalar."""
        # Taking means away is linear, so the difference goes through it once; a mean over three
        # channels is quicker with each in a plane of its own.
        difference = (sr - target).contiguous()
        detail = difference[:, :, 1:-1, 1:-1] - F.avg_pool2d(difference, 3, stride=1)
        return self.distance(detail, detail.new_zeros(()).expand_as(detail))


__all__ = ["HighFrequencyLoss"]
