"""LPIPS as a loss: with VGG16, so that the judge of the results (AlexNet) is another network."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fourfold.networks.perceptual import Lpips


class LpipsLoss(nn.Module):
    """Mean LPIPS of a batch, a scalar; `sr` and `target` are `(N, 3, H, W)`, RGB in [0, 1].

    Its gradient reaches `sr` only. Sides of at least 16 pixels (`vgg`) or 31 (`alex`). Raises
    `UsageError` where `$FOURFOLD_METRICS` does not lead to the weights.
    """

    def __init__(self, net: str = "vgg") -> None:
        super().__init__()
        self.distance = Lpips(net)

    def forward(self, sr: Tensor, target: Tensor) -> Tensor:
        """The loss, computed in fp32 whatever autocast says: squares of features overflow fp16."""
        with torch.autocast(sr.device.type, enabled=False):
            return self.distance(sr.float(), target.detach().float()).mean()


__all__ = ["LpipsLoss"]
