"""A small discriminator that judges patches: each logit sees a part of the picture.

Isola et al. 2017 (pix2pix) judge patches; Miyato et al. 2018 bound each layer's gain by its spectral
norm, which keeps a small discriminator steady without BatchNorm.
"""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

LEAKY_SLOPE: Final = 0.2

# (channels as a multiple of the width, kernel, stride): a logit sees 30 pixels a side.
_LAYOUT: Final = ((1, 3, 1), (2, 4, 2), (4, 4, 2), (4, 3, 1))


class PatchDiscriminator(nn.Module):
    """RGB in [0, 1], `(N, 3, H, W)`, to logits `(N, H / 4, W / 4)`; sigmoid of them is D.

    Args:
        width: channels of the first convolution.
    """

    def __init__(self, *, width: int = 32) -> None:
        super().__init__()
        self.layers = nn.ModuleList()
        channels = 3
        for factor, kernel, stride in _LAYOUT:
            conv = nn.Conv2d(channels, factor * width, kernel, stride=stride, padding=1)
            self.layers.append(spectral_norm(conv))
            channels = factor * width
        self.logit = spectral_norm(nn.Conv2d(channels, 1, 3, padding=1))

    def forward(self, image: Tensor) -> Tensor:
        """Logits, at least float32 also under autocast."""
        x = image * 2 - 1
        for layer in self.layers:
            x = F.leaky_relu(layer(x), LEAKY_SLOPE)
        logits: Tensor = self.logit(x)[:, 0]
        return logits.to(torch.promote_types(logits.dtype, torch.float32))


__all__ = ["PatchDiscriminator"]
