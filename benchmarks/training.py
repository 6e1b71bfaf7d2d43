"""Seconds per training step on this CPU: the plain loop against this package's.

usage: PYTHONPATH=src python benchmarks/training.py [--rounds 5] [--batch 16]

Batch 16, HR crop 96, scale 4, as published. Stage 1 is SRResNet with MSE; stage 2 is SRGAN with
VGG19 features (random weights take the same time). "Plain" is what the textbook loop does: fp32,
NCHW, the layers of figure 4 one by one, and for stage 2 the discriminator's pass for each loss.
Rounds alternate, and the fastest of each row is shown: what else runs on the machine can only add.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from accelerate import Accelerator
from stamp import stamp
from torch import Tensor, nn

from fourfold.networks.srresnet import SRResNet
from fourfold.training.build import make_objective, make_state
from fourfold.training.config import TrainConfig, parse_config
from fourfold.training.device import make_accelerator
from fourfold.training.steps import adversarial_step, generator_step

CROP, SCALE = 96, 4
Step = Callable[[], object]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=16)
    arguments = parser.parse_args()
    lr = torch.rand(arguments.batch, 3, CROP // SCALE, CROP // SCALE)
    hr = torch.rand(arguments.batch, 3, CROP, CROP)
    table: dict[str, dict[str, Step]] = {}
    for stage in (1, 2):
        table[f"stage {stage}"] = {
            "plain fp32 NCHW": plain_step(stage, lr, hr),
            "fourfold fp32": our_step(stage, "fp32", lr, hr),
            "fourfold bf16, plain tail": our_step(stage, "bf16", lr, hr, rewritten=False),
            "fourfold bf16": our_step(stage, "bf16", lr, hr),
        }
    print(stamp())
    print(f"batch {arguments.batch}, HR {CROP}, fastest of {arguments.rounds} rounds")
    print("| stage | loop | seconds per step | plain / this |")
    print("|---|---|---|---|")
    for stage_name, steps in table.items():
        seconds = measure(steps, arguments.rounds)
        base = seconds["plain fp32 NCHW"]
        for name, value in seconds.items():
            print(f"| {stage_name} | {name} | {value:.2f} | {base / value:.1f} |", flush=True)


def measure(steps: dict[str, Step], rounds: int) -> dict[str, float]:
    """Fewest seconds of each step; rounds go over all of them in turn."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(rounds + 1):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if turn:  # the first is for warming up
                times[name].append(time.perf_counter() - start)
    return {name: min(found) for name, found in times.items()}


def settings(stage: int, precision: str) -> TrainConfig:
    losses: list[dict[str, object]] = [{"kind": "pixel", "distance": "mse"}]
    if stage == 2:
        losses = [{"kind": "content", "weights": "random"}, {"kind": "adversarial"}]
    values = {"steps": 1, "precision": precision, "device": "cpu"}
    return parse_config({**values, "data": {"train": "unused"}, "losses": losses})


def our_step(stage: int, precision: str, lr: Tensor, hr: Tensor, *, rewritten: bool = True) -> Step:
    """The step as the training loop takes it."""
    config = settings(stage, precision)
    accelerator: Accelerator = make_accelerator(config)
    state = make_state(config, None, accelerator)
    if not rewritten:
        state.generator.forward = lambda lr: plain_forward(state.generator, lr)  # type: ignore
    objective = make_objective(config, accelerator)
    lr, hr = (image.contiguous(memory_format=torch.channels_last) for image in (lr, hr))
    step = adversarial_step if stage == 2 else generator_step
    return lambda: step(state, lr, {"hr": hr}, objective=objective, accelerator=accelerator)


def plain_step(stage: int, lr: Tensor, hr: Tensor) -> Step:
    """The textbook loop: no memory format, no autocast, torch's own layers and Adam."""
    config = settings(stage, "fp32")
    accelerator = make_accelerator(config)
    state = make_state(config, None, accelerator)
    objective = make_objective(config, accelerator)
    content = next((t.loss for t in objective.terms if isinstance(t.loss, nn.Module)), None)
    networks = [n for n in (state.generator, state.discriminator, content) if n]
    for network in networks:
        network.to(memory_format=torch.contiguous_format)
    generator = state.generator
    adam_g = torch.optim.Adam(generator.parameters(), lr=1e-4, eps=1e-7)

    def first() -> None:
        adam_g.zero_grad()
        F.mse_loss(plain_forward(generator, lr) * 255, hr * 255).backward()
        adam_g.step()

    if state.discriminator is None:
        return first
    discriminator = state.discriminator
    assert content is not None
    adam_d = torch.optim.Adam(discriminator.parameters(), lr=1e-4, eps=1e-7)
    ones, zeros = torch.ones(len(lr)), torch.zeros(len(lr))
    bce = F.binary_cross_entropy_with_logits

    def second() -> None:
        sr = plain_forward(generator, lr)
        adam_d.zero_grad()
        (bce(discriminator(hr), ones) + bce(discriminator(sr.detach()), zeros)).backward()
        adam_d.step()
        adam_g.zero_grad()
        (content(sr, hr) + 1e-3 * bce(discriminator(sr), ones)).backward()
        adam_g.step()

    return second


def plain_forward(network: SRResNet, lr: Tensor) -> Tensor:
    """SRResNet layer by layer, as figure 4 of the paper draws it."""

    def act(x: Tensor, layer: nn.PReLU) -> Tensor:
        return F.prelu(x, layer.weight)

    x = act(network.head(lr), network.head_act)
    y = x
    for block in network.blocks:
        z = act(block.norm1(block.conv1(y)), block.act)
        y = y + block.norm2(block.conv2(z))
    y = x + network.trunk_norm(network.trunk(y))
    for conv, layer in zip(network.upsample, network.upsample_acts, strict=True):
        y = act(F.pixel_shuffle(conv(y), 2), layer)
    return (torch.tanh(network.tail(y).float()) + 1) / 2


if __name__ == "__main__":
    main()
