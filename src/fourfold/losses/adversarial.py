"""Binary cross-entropy of SRGAN, on logits (Ledig et al. 2017, equations 2 and 6)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def generator_adversarial(fake_logits: Tensor) -> Tensor:
    """`BCE(D(sr), 1)`, that is `-log D(sr)`, mean over the batch."""
    return F.softplus(-fake_logits).mean()


def discriminator_loss(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """`BCE(D(hr), 1) + BCE(D(sr), 0)`, each a mean over the batch."""
    return F.softplus(-real_logits).mean() + F.softplus(fake_logits).mean()


__all__ = ["discriminator_loss", "generator_adversarial"]
