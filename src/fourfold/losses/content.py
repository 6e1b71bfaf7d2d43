"""Perceptual loss: distance between VGG features (Ledig et al. 2017, equation 5)."""

from __future__ import annotations

from typing import Final, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fourfold.networks.vgg import VggFeatures

Distance = Literal["mse", "l1"]

FEATURE_SCALE: Final = 12.75
"""The paper multiplies VGG features by 1/12.75 (section 3.2)."""


class ContentLoss(nn.Module):
    """Distance between the features of two pictures in [0, 1], `(N, 3, H, W)` each.

    Args:
        features: the frozen network and layer to compare.
        distance: `mse` (SRGAN) or `l1` (ESRGAN).
        feature_scale: features are divided by it first.
    """

    def __init__(
        self,
        features: VggFeatures,
        *,
        distance: Distance = "mse",
        feature_scale: float = FEATURE_SCALE,
    ) -> None:
        super().__init__()
        self.features, self.feature_scale = features, feature_scale
        self.distance = F.mse_loss if distance == "mse" else F.l1_loss

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The loss, a scalar; its gradient reaches `sr` only."""
        with torch.no_grad():
            target = _wide(self.features(hr)) / self.feature_scale
        return self.distance(_wide(self.features(sr)) / self.feature_scale, target)


def _wide(features: Tensor) -> Tensor:
    """Out of autocast: squares of features overflow fp16."""
    return features.to(torch.promote_types(features.dtype, torch.float32))


__all__ = ["FEATURE_SCALE", "ContentLoss"]
