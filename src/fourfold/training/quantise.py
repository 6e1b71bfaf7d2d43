"""Convolutions of bytes that come as near to a network as they can.

Each channel gets its own step between neighbouring bytes, found where its values lie, and the kernels
are trained for a minute to give, rounded, what the network gives in fp32. Rounding passes the gradient
as if it were not there (Bengio et al. 2013), also to the steps (Esser et al. 2020, LSQ).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import cos, log10, pi
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor

from fourfold.imaging.arrays import to_float
from fourfold.imaging.resize import imresize
from fourfold.pictures.eight_bit import read_rgb8
from fourfold.runtimes.torch import apply_node, run_graph
from fourfold.weights.format import Model
from fourfold.weights.graph import Conv
from fourfold.weights.quantised import LARGEST, LEVELS, ByteConv, Quantised

STEPS: Final = 400
CROPS: Final = 256
_PICTURES: Final = 64
_SIDE: Final = 40
_NOISE: Final = 0.1
"""The largest standard deviation of noise."""
_BATCH: Final = 4
_STEP_RATE, _WEIGHT_RATE, _BIAS_RATE = 1e-2, 2e-4, 3e-4
_WARMUP: Final = 20
_KEPT: Final = 0.75
"""Of the largest value of a channel at the start: few are larger, and all others gain."""
_LEAST: Final = 0.02
"""Of a channel's step as a share of the largest one of the layer."""
_CHUNK: Final = 16


@dataclass
class _Layer:
    """One convolution while it is fitted."""

    zero: int
    log_steps: Tensor
    weight: Tensor
    """With the steps in it, in its own units."""
    log_scales: Tensor
    bias: Tensor

    def rounded_input(self, x: Tensor) -> Tensor:
        """Whole numbers, as floats."""
        steps = self.log_steps.exp()[:, None, None]
        return _round(x / steps).clamp(-self.zero, LEVELS - 1 - self.zero)

    def rounded_weight(self) -> Tensor:
        """Whole numbers, as floats."""
        scales = self.log_scales.exp()[:, None, None, None]
        steps = self.log_steps.exp()[:, None, None]
        return _round(self.weight * steps / scales).clamp(-LARGEST, LARGEST)

    def parameters(self) -> list[dict[str, object]]:
        """With their learning rates."""
        return [
            {"params": [self.log_steps, self.log_scales], "lr": _STEP_RATE},
            {"params": [self.weight], "lr": _WEIGHT_RATE},
            {"params": [self.bias], "lr": _BIAS_RATE},
        ]

    def facts(self) -> ByteConv:
        """For the model file."""
        return ByteConv(
            zero=self.zero,
            steps=self.log_steps.exp().numpy().astype(np.float32),
            weight=self.rounded_weight().numpy().astype(np.int8),
            scales=self.log_scales.exp().numpy().astype(np.float32),
            bias=self.bias.numpy().astype(np.float32),
        )


def quantise(
    model: Model,
    crops_nchw: np.ndarray,
    *,
    steps: int = STEPS,
    tell: Callable[[int, float], None] | None = None,
) -> Quantised:
    """Facts for int8 of all convolutions but those that read the picture; `db` is 0 until measured.

    On one thread: crops are too small for several, and the same crops then give the same bytes.

    Args:
        model: any of ours.
        crops_nchw: float32 `(N, 3, h, w)` in [0, 1], what it is to learn from.
        steps: of training.
        tell: called now and then with the step and the mean PSNR against fp32 since.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _quantise(model, crops_nchw, steps, tell or (lambda _step, _db: None))
    finally:
        torch.set_num_threads(threads)


def _quantise(
    model: Model, crops_nchw: np.ndarray, steps: int, tell: Callable[[int, float], None]
) -> Quantised:
    tensors = {n: torch.from_numpy(np.array(t, np.float32)) for n, t in model.tensors.items()}
    crops = torch.from_numpy(np.ascontiguousarray(crops_nchw, np.float32))
    with torch.no_grad():
        wanted = torch.cat([run_graph(model.graph, tensors, [x])[0] for x in crops.split(_CHUNK)])
        layers = _begin(model, tensors, crops)
    for layer in layers.values():
        for name in ("log_steps", "weight", "log_scales", "bias"):
            setattr(layer, name, getattr(layer, name).clone().requires_grad_())
    optimizer = torch.optim.Adam(
        [group for layer in layers.values() for group in layer.parameters()], betas=(0.9, 0.99)
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda i: min(1, (i + 1) / _WARMUP) * 0.5 * (1 + cos(pi * i / max(steps, 1)))
    )
    generator, total = torch.Generator().manual_seed(0), 0.0
    for step in range(1, steps + 1):
        chosen = torch.randint(len(crops), (_BATCH,), generator=generator)
        difference = _run(model, tensors, layers, crops[chosen]) - wanted[chosen]
        # Decibels, so that each crop counts alike, whatever it holds.
        loss = 10 * (difference.square().mean((1, 2, 3)) + 1e-8).log10().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total -= float(loss.detach())
        if step % 50 == 0:
            tell(step, total / 50)
            total = 0.0
    with torch.no_grad():
        return Quantised({name: layer.facts() for name, layer in layers.items()}, db=0.0)


def _round(x: Tensor) -> Tensor:
    return x + (x.round() - x).detach()


def _run(
    model: Model, tensors: dict[str, Tensor], layers: dict[str, _Layer], lr_nchw: Tensor
) -> Tensor:
    """The network with its convolutions in bytes."""
    values = {model.graph.inputs[0]: lr_nchw}
    for node in model.graph.nodes:
        inputs, own = [values[name] for name in node.inputs], tensors
        if isinstance(node, Conv) and (layer := layers.get(node.name)) is not None:
            scales = layer.log_scales.exp()
            weight = layer.rounded_weight() * scales[:, None, None, None]
            own = {f"{node.name}.weight": weight, f"{node.name}.bias": layer.bias}
            inputs = [layer.rounded_input(inputs[0])]
        values[node.output] = apply_node(node, own, inputs)
    return values[model.graph.outputs[0]]


def _begin(model: Model, tensors: dict[str, Tensor], crops: Tensor) -> dict[str, _Layer]:
    """Layers as the ranges of their inputs suggest."""
    ends: dict[str, tuple[Tensor, Tensor]] = {}
    for chunk in crops.split(_CHUNK):
        values = {model.graph.inputs[0]: chunk}
        for node in model.graph.nodes:
            if isinstance(node, Conv) and model.graph.inputs[0] not in node.inputs:
                x = values[node.inputs[0]]
                low, high = x.amin((0, 2, 3)), x.amax((0, 2, 3))
                if node.name in ends:
                    low, high = low.minimum(ends[node.name][0]), high.maximum(ends[node.name][1])
                ends[node.name] = low, high
            values[node.output] = apply_node(node, tensors, [values[n] for n in node.inputs])
    return {name: _layer(tensors, name, *both) for name, both in ends.items()}


def _layer(tensors: dict[str, Tensor], name: str, low: Tensor, high: Tensor) -> _Layer:
    weight = tensors[f"{name}.weight"]
    below, above = (-low).clamp(min=0), high.clamp(min=0)
    power = weight.square().sum((0, 2, 3))

    def steps_for(zero: int) -> Tensor:
        needed = torch.maximum(below / max(zero, 0.5), above / max(LEVELS - 1 - zero, 0.5)) * _KEPT
        return needed.clamp(min=float(needed.max()) * _LEAST + 1e-8)

    zero = min(range(LEVELS), key=lambda z: float((steps_for(z).square() * power).sum()))
    steps = steps_for(zero)
    inner = (weight * steps[:, None, None]).abs().amax((1, 2, 3))
    return _Layer(
        zero=zero,
        log_steps=steps.log(),
        weight=weight.clone(),
        log_scales=(inner.clamp(min=1e-8) / LARGEST).log(),
        bias=tensors[f"{name}.bias"].clone(),
    )


def practice(
    pictures: Sequence[Path], *, scale: int, noisy: bool, count: int = CROPS, seed: int = 0
) -> np.ndarray:
    """Crops of photographs made small: float32 `(count, 3, 40, 40)` in [0, 1].

    A third is as it is, a third with twice the contrast, a third with drawn boxes, whose edges reach
    further than any in photographs; with `noisy` half of each are noisy.

    `InputError` for what cannot be decoded.
    """
    rng, crops = np.random.default_rng(seed), []
    chosen = [pictures[i] for i in rng.permutation(len(pictures))[:_PICTURES]]
    for number in range(count):
        if number % -(-count // len(chosen)) == 0:
            hr = to_float(read_rgb8(chosen[number // -(-count // len(chosen))]))
        side = min(_SIDE * scale, *hr.shape[:2])
        top, left = (int(rng.integers(0, full - side + 1)) for full in hr.shape[:2])
        lr = imresize(hr[top : top + side, left : left + side], size=(_SIDE, _SIDE))
        if number % 3 == 1:
            lr = 2 * (lr - lr.mean()) + 0.5
        elif number % 3 == 2:
            for _ in range(8):
                y, x, height, width = rng.integers(1, _SIDE // 2, 4)
                lr[y : y + height, x : x + width] = rng.integers(0, 2, 3)
        if noisy and number % 2:
            lr = lr + rng.normal(0, rng.uniform(0, _NOISE), lr.shape)
        crops.append(np.clip(lr, 0, 1).transpose(2, 0, 1))
    return np.stack(crops).astype(np.float32)


def agreement(model: Model, quantised: Quantised, pictures: Sequence[np.ndarray]) -> float:
    """PSNR in dB between int8 and fp32 as OpenVINO computes them, over all pixels of `pictures`.

    Each is uint8 `(h, w, 3)`; results are clipped to [0, 1].
    """
    from fourfold.engine.network import network_of
    from fourfold.runtimes.openvino import open_openvino

    program = network_of(replace(model, int8=quantised)).whole
    ways = [open_openvino(program, device="cpu", precision=p) for p in ("fp32", "int8")]
    total = count = 0.0
    for picture in pictures:
        lr_nchw = np.ascontiguousarray(to_float(picture).transpose(2, 0, 1)[None])
        exact, rounded = (np.clip(way.run(lr_nchw)[0], 0, 1) for way in ways)
        total += float(np.square(exact - rounded, dtype=np.float64).sum())
        count += exact.size
    return -10 * log10(total / count + 1e-12)


__all__ = ["STEPS", "agreement", "practice", "quantise"]
