"""One training step of each stage: batch in, losses out, networks changed in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor
from torch.optim import Adam

from fourfold.losses import discriminator_loss, generator_adversarial
from fourfold.losses.steady import SteadyLoss
from fourfold.networks.back_projection import back_project
from fourfold.training.device import average, average_gradients

if TYPE_CHECKING:
    from accelerate import Accelerator

    from fourfold.training.state import TrainState


class WeightedTerm(NamedTuple):
    """A term of the generator's loss, by the name it is reported under."""

    name: str
    weight: float
    target: str
    """What the result is compared with: `hr`, `teacher`, `counterpart` (the same result without the
    consistency step, or with it where training has none), or by the term's own name."""
    loss: Callable[[Tensor, Tensor], Tensor] | None
    """Of results and targets; None: the discriminator's opinion of the results."""


@dataclass(frozen=True)
class Objective:
    """What the generator minimises: the weighted sum of its terms."""

    terms: tuple[WeightedTerm, ...]
    consistency: bool = False
    """Whether results go through back-projection before they are judged."""

    @property
    def has_counterpart(self) -> bool:
        """Whether a term compares the result with its `counterpart`, which costs a resize."""
        return any(term.target == "counterpart" for term in self.terms)

    @property
    def real(self) -> str:
        """The pictures a discriminator is to take for real."""
        return next(term.target for term in self.terms if term.loss is None)


class GeneratorLosses(NamedTuple):
    """Terms of the generator's loss, unweighted, by name, and their weighted sum."""

    terms: dict[str, Tensor]
    total: Tensor


class StepReport(NamedTuple):
    """What a step found, over all processes."""

    losses: dict[str, float]
    finite: bool
    """False: nothing was changed, because a loss or a gradient was not finite."""


def generator_losses(
    sr: Tensor, targets: Mapping[str, Tensor], fake_logits: Tensor | None, objective: Objective
) -> GeneratorLosses:
    """Losses of pictures in [0, 1], `(N, 3, H, W)`, and the discriminator's logits for `sr`."""
    terms: dict[str, Tensor] = {}
    total = sr.new_zeros(())
    for term in objective.terms:
        if term.loss is not None:
            terms[term.name] = term.loss(sr, targets[term.target])
        else:
            assert fake_logits is not None
            terms[term.name] = generator_adversarial(fake_logits)
        total = total + term.weight * terms[term.name]
    return GeneratorLosses(terms, total)


def enlarge(state: TrainState, lr: Tensor, objective: Objective) -> tuple[Tensor, Tensor]:
    """The result that is judged, and its counterpart: one with the consistency step, one without.

    Where there is no such step and no term asks for the counterpart, both are the network's own.
    """
    own: Tensor = state.generator(lr)
    if not (objective.consistency or objective.has_counterpart):
        return own, own
    consistent = back_project(own, lr)
    return (consistent, own) if objective.consistency else (own, consistent)


def _with_later(
    targets: Mapping[str, Tensor],
    state: TrainState,
    lr: Tensor,
    counterpart: Tensor,
    objective: Objective,
) -> Mapping[str, Tensor]:
    """The targets, the counterpart, and for each term of steadiness the crops' result a moment later."""
    scale = counterpart.shape[-1] // lr.shape[-1]
    later = {
        term.name: enlarge(state, term.loss.next_frame(lr, scale=scale), objective)[0]
        for term in objective.terms
        if isinstance(term.loss, SteadyLoss)
    }
    return {**targets, "counterpart": counterpart, **later}


def generator_step(
    state: TrainState,
    lr: Tensor,
    targets: Mapping[str, Tensor],
    *,
    objective: Objective,
    accelerator: Accelerator,
    clip_norm: float = 0.0,
) -> StepReport:
    """A step of the generator alone."""
    state.generator.train()
    with accelerator.autocast():
        sr, counterpart = enlarge(state, lr, objective)
        compared = _with_later(targets, state, lr, counterpart, objective)
        losses = generator_losses(sr, compared, None, objective)
    report = _report(losses.terms, losses.total, accelerator)
    if not report.finite:
        return report
    _backward(losses.total, state.optimizer_g, accelerator)
    return StepReport(report.losses, _apply([state.optimizer_g], accelerator, clip_norm))


def adversarial_step(
    state: TrainState,
    lr: Tensor,
    targets: Mapping[str, Tensor],
    *,
    objective: Objective,
    accelerator: Accelerator,
    clip_norm: float = 0.0,
    generator_learns: bool = True,
) -> StepReport:
    """A step of both networks, from one pass: each gradient is taken before either changes."""
    assert state.discriminator is not None
    assert state.optimizer_d is not None
    state.generator.train()
    state.discriminator.train()
    with accelerator.autocast():
        sr, counterpart = enlarge(state, lr, objective)
        real_logits, fake_logits = (
            state.discriminator(targets[objective.real]),
            state.discriminator(sr),
        )
        compared = _with_later(targets, state, lr, counterpart, objective)
        losses = generator_losses(sr, compared, fake_logits, objective)
        judged = discriminator_loss(real_logits, fake_logits)
    parts = {
        **losses.terms,
        "discriminator": judged,
        "d_hr": torch.sigmoid(real_logits).mean(),
        "d_sr": torch.sigmoid(fake_logits).mean(),
    }
    report = _report(parts, losses.total, accelerator)
    if not report.finite:
        return report
    learning = [state.optimizer_g, state.optimizer_d] if generator_learns else [state.optimizer_d]
    if generator_learns:
        _backward(losses.total, state.optimizer_g, accelerator, retain_graph=True)
    _backward(judged, state.optimizer_d, accelerator)
    return StepReport(report.losses, _apply(learning, accelerator, clip_norm))


def _report(parts: dict[str, Tensor], total: Tensor, accelerator: Accelerator) -> StepReport:
    values = torch.stack([value.detach().float() for value in (*parts.values(), total)])
    means = average(values, accelerator).tolist()
    finite = all(isfinite(value) for value in means)
    scaler = accelerator.scaler
    if not finite and scaler is not None:
        scaler.update(scaler.get_scale() * scaler.get_backoff_factor())
    return StepReport(dict(zip((*parts, "generator"), means, strict=True)), finite)


def _backward(
    loss: Tensor, optimizer: Adam, accelerator: Accelerator, *, retain_graph: bool = False
) -> None:
    """Gradients of `loss` for the optimiser's parameters only, averaged over the processes."""
    parameters = _parameters(optimizer)
    accelerator.backward(loss, inputs=parameters, retain_graph=retain_graph)
    average_gradients(parameters, accelerator)


def _apply(optimizers: Sequence[Adam], accelerator: Accelerator, clip_norm: float) -> bool:
    """Clip and step all optimisers, or none when a gradient is not finite; whether they stepped.

    An fp16 scaler looks at the gradients itself: it leaves out the step and lowers its scale.
    """
    scaler = accelerator.scaler
    norms = []
    for optimizer in optimizers:
        if scaler is not None:
            scaler.unscale_(optimizer)
        gradients = [p.grad for p in _parameters(optimizer) if p.grad is not None]
        norms.append(torch.nn.utils.get_total_norm(gradients))
    finite = all(bool(torch.isfinite(norm)) for norm in norms)
    for optimizer, norm in zip(optimizers, norms, strict=True):
        if clip_norm and finite:
            torch.nn.utils.clip_grads_with_norm_(_parameters(optimizer), clip_norm, norm)
        if scaler is not None:
            scaler.step(optimizer)
        elif finite:
            optimizer.step()
        optimizer.zero_grad()
    if scaler is not None:
        scaler.update()
    return finite or scaler is not None


def _parameters(optimizer: Adam) -> list[Tensor]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


__all__ = [
    "GeneratorLosses",
    "Objective",
    "StepReport",
    "WeightedTerm",
    "adversarial_step",
    "enlarge",
    "generator_losses",
    "generator_step",
]
