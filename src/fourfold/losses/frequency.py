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
        return self.distance(_detail(sr), _detail(target))


def _detail(image: Tensor) -> Tensor:
    return image[:, :, 1:-1, 1:-1] - F.avg_pool2d(image, 3, stride=1)


__all__ = ["HighFrequencyLoss"]
