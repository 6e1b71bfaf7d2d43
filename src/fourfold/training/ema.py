"""Exponential moving average of a network's weights."""

from __future__ import annotations

import copy

import torch
from torch import nn


class Ema:
    """A copy of `network` that follows it: `average = decay * average + (1 - decay) * network`.

    Running statistics of BatchNorm are averaged the same way, so that they fit the weights.
    """

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(network).requires_grad_(False).eval()

    @torch.no_grad()
    def update(self, network: nn.Module, *, step: int | None = None) -> None:
        """Take in the weights after a step.

        With the number of the step (from 0) the average is quicker at the start, by
        `(1 + step) / (10 + step)`, so that it does not carry the random weights along.
        """
        decay = self.decay if step is None else min(self.decay, (1 + step) / (10 + step))
        theirs = dict(network.state_dict())
        for name, average in self.network.state_dict().items():
            if average.dtype.is_floating_point:
                average.lerp_(theirs[name], 1 - decay)
            else:
                average.copy_(theirs[name])


__all__ = ["Ema"]
