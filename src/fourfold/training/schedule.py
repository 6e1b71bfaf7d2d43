"""Learning rate as a function of the step, so that there is no scheduler state to lose."""

from __future__ import annotations

from math import cos, pi
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch.optim import Adam

    from fourfold.training.config import OptimizerConfig


def learning_rate_at(step: int, settings: OptimizerConfig, *, steps: int) -> float:
    """Rate for step number `step` (from 0) of `steps`.

    >>> from fourfold.training.config import OptimizerConfig
    >>> two = OptimizerConfig(milestones=(100,))
    >>> [learning_rate_at(s, two, steps=200) for s in (0, 99, 100)]
    [0.0001, 0.0001, 1e-05]
    """
    rate = settings.learning_rate
    if step < settings.warmup:
        return rate * (step + 1) / settings.warmup
    if settings.schedule == "piecewise":
        passed = sum(step >= milestone for milestone in settings.milestones)
        return rate * settings.decay**passed
    progress = (step - settings.warmup) / max(steps - settings.warmup, 1)
    floor = settings.final_rate
    return floor + (rate - floor) * (1 + cos(pi * min(progress, 1))) / 2


def set_rate(optimizer: Adam, rate: float, *, epsilon: float) -> None:
    """Give an Adam optimiser its rate, and the epsilon that makes it Keras's Adam.

    Keras (like Kingma and Ba's second form) adds epsilon to the square root before the bias
    correction, torch after it; at the first step that is a factor of 32.
    """
    for group in optimizer.param_groups:
        state = optimizer.state.get(group["params"][0], {})
        taken = int(state["step"]) if "step" in state else 0
        group["lr"] = rate
        group["eps"] = epsilon / (1 - group["betas"][1] ** (taken + 1)) ** 0.5


__all__ = ["learning_rate_at", "set_rate"]
