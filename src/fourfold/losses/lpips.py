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
        """The loss. Convolutions follow autocast to bf16, where they take half the time, and stay
        fp32 under fp16, whose range features may leave; distances are fp32 always.
        """
        kind = sr.device.type
        narrow = torch.get_autocast_dtype(kind) == torch.float16
        with torch.autocast(kind, enabled=torch.is_autocast_enabled(kind) and not narrow):
            return self.distance(sr.float(), target.detach().float()).mean()


__all__ = ["LpipsLoss"]
