"""One training step of each stage: batch in, losses out, networks changed in place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor

from fourfold.losses import ContentLoss, discriminator_loss, generator_adversarial
from fourfold.training.device import average, average_gradients

if TYPE_CHECKING:
    from accelerate import Accelerator

    from fourfold.training.state import TrainState


@dataclass(frozen=True)
class Objective:
    """What the generator minimises."""

    pixel: Callable[[Tensor, Tensor], Tensor]
    pixel_weight: float
    content: ContentLoss | None
    content_weight: float
    adversarial_weight: float


class GeneratorLosses(NamedTuple):
    """Parts of the generator's loss, unweighted, and their weighted sum."""

    pixel: Tensor
    content: Tensor
    adversarial: Tensor
    total: Tensor


class StepReport(NamedTuple):
    """What a step found, over all processes."""

    losses: dict[str, float]
    finite: bool
    """False: nothing was changed, because a loss or a gradient was not finite."""


def generator_losses(
    sr: Tensor, hr: Tensor, fake_logits: Tensor | None, objective: Objective
) -> GeneratorLosses:
    """Losses of pictures in [0, 1], `(N, 3, H, W)`, and the discriminator's logits for `sr`."""
    zero = sr.new_zeros(())
    pixel = objective.pixel(sr, hr) if objective.pixel_weight else zero
    content = objective.content(sr, hr) if objective.content is not None else zero
    adversarial = generator_adversarial(fake_logits) if fake_logits is not None else zero
    total = (
        objective.pixel_weight * pixel
        + objective.content_weight * content
        + objective.adversarial_weight * adversarial
    )
    return GeneratorLosses(pixel, content, adversarial, total)


def srresnet_step(
    state: TrainState,
    lr: Tensor,
    hr: Tensor,
    *,
    objective: Objective,
    accelerator: Accelerator,
    clip_norm: float = 0.0,
) -> StepReport:
    """A step of the generator alone."""
    state.generator.train()
    with accelerator.autocast():
        sr = state.generator(lr)
        losses = generator_losses(sr, hr, None, objective)
    report = _report({"pixel": losses.pixel, "content": losses.content}, losses.total, accelerator)
    if not report.finite:
        return report
    parameters = list(state.generator.parameters())
    _backward(losses.total, parameters, accelerator)
    finite = _finish(state.optimizer_g, parameters, accelerator, clip_norm)
    if finite:
        state.optimizer_g.step()
    state.optimizer_g.zero_grad()
    return StepReport(report.losses, finite)


def srgan_step(
    state: TrainState,
    lr: Tensor,
    hr: Tensor,
    *,
    objective: Objective,
    accelerator: Accelerator,
    clip_norm: float = 0.0,
    generator_learns: bool = True,
) -> StepReport:
    """A step of both networks, from one pass: each gradient is taken before either changes."""
    assert state.discriminator is not None
    state.generator.train()
    state.discriminator.train()
    with accelerator.autocast():
        sr = state.generator(lr)
        real_logits, fake_logits = state.discriminator(hr), state.discriminator(sr)
        losses = generator_losses(sr, hr, fake_logits, objective)
        judged = discriminator_loss(real_logits, fake_logits)
    parts = {
        "pixel": losses.pixel,
        "content": losses.content,
        "adversarial": losses.adversarial,
        "discriminator": judged,
        "d_hr": torch.sigmoid(real_logits).mean(),
        "d_sr": torch.sigmoid(fake_logits).mean(),
    }
    report = _report(parts, losses.total, accelerator)
    if not report.finite:
        return report
    parameters_g = list(state.generator.parameters())
    parameters_d = list(state.discriminator.parameters())
    finite = True
    if generator_learns:
        _backward(losses.total, parameters_g, accelerator, retain_graph=True)
        finite = _finish(state.optimizer_g, parameters_g, accelerator, clip_norm)
    _backward(judged, parameters_d, accelerator)
    finite = _finish(state.optimizer_d, parameters_d, accelerator, clip_norm) and finite
    if finite:
        if generator_learns:
            state.optimizer_g.step()
        state.optimizer_d.step()
    state.optimizer_g.zero_grad()
    state.optimizer_d.zero_grad()
    return StepReport(report.losses, finite)


def _report(parts: dict[str, Tensor], total: Tensor, accelerator: Accelerator) -> StepReport:
    values = torch.stack([value.detach().float() for value in (*parts.values(), total)])
    means = average(values, accelerator).tolist()
    named = dict(zip((*parts, "generator"), means, strict=True))
    return StepReport(named, all(value - value == 0 for value in means))


def _backward(
    loss: Tensor,
    parameters: Sequence[Tensor],
    accelerator: Accelerator,
    *,
    retain_graph: bool = False,
) -> None:
    """Gradients of `loss` for these parameters only, averaged over the processes."""
    accelerator.backward(loss, inputs=parameters, retain_graph=retain_graph)
    average_gradients(parameters, accelerator)


def _finish(
    optimizer: Any, parameters: Sequence[Tensor], accelerator: Accelerator, clip_norm: float
) -> bool:
    """Clip; whether the gradients are finite. With a scaler, it looks at them itself."""
    scaled = accelerator.scaler is not None
    if scaled:
        accelerator.unscale_gradients(optimizer)
    limit = clip_norm if clip_norm else float("inf")
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    if clip_norm and (scaled or bool(torch.isfinite(norm))):
        torch.nn.utils.clip_grads_with_norm_(parameters, limit, norm)
    return scaled or bool(torch.isfinite(norm))


__all__ = [
    "GeneratorLosses",
    "Objective",
    "StepReport",
    "generator_losses",
    "srgan_step",
    "srresnet_step",
]
