"""Tiny random networks, so that tests of everything around them take milliseconds."""

from __future__ import annotations

import numpy as np

from fourfold.engine.upscaler import Upscaler
from fourfold.weights.format import Model
from fourfold.weights.graph import Conv, Graph, Node, PRelu, Shuffle
from fourfold.weights.inference_form import build_graph, num_doublings


def tiny_model(*, scale: int = 4, num_blocks: int = 2, width: int = 8, seed: int = 0) -> Model:
    """An SRResNet with random weights in inference form; its halo is 12 pixels at scale 4."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}

    def conv(name: str, out: int, inner: int, kernel: int) -> None:
        spread = 1 / np.sqrt(inner * kernel**2)
        tensors[f"{name}.weight"] = rng.normal(0, spread, (out, inner, kernel, kernel))
        tensors[f"{name}.bias"] = rng.normal(0, 0.1, out)

    conv("head", width, 3, 9)
    tensors["head.slope"] = rng.uniform(0, 0.5, width)
    for i in range(num_blocks):
        conv(f"blocks.{i}.conv1", width, width, 3)
        conv(f"blocks.{i}.conv2", width, width, 3)
        tensors[f"blocks.{i}.slope"] = rng.uniform(0, 0.5, width)
    conv("trunk", width, width, 3)
    for j in range(num_doublings(scale)):
        conv(f"upsample.{j}", 4 * width, width, 3)
        tensors[f"upsample.{j}.slope"] = np.repeat(rng.uniform(0, 0.5, width), 4)
    conv("tail", 12, 4 * width, 5)
    return Model(
        name="tiny",
        architecture="srresnet",
        scale=scale,
        hyperparameters={"num_blocks": num_blocks, "width": width},
        tensors={name: np.float32(tensor) for name, tensor in tensors.items()},
        license="Apache-2.0",
    )


def small_tiles(upscaler: Upscaler, side: int) -> Upscaler:
    """With tiles smaller than anybody may ask for, so that small pictures have several."""
    upscaler._tile = side
    return upscaler


def halo_of(model: Model) -> int:
    """Receptive radius of a model in LR pixels."""
    options = {"scale": model.scale, "hyperparameters": model.hyperparameters}
    return build_graph(model.architecture, **options).halo(model.tensors)


def plain_network(
    *, scale: int = 4, width: int = 8, depth: int = 2, channels: int = 3, seed: int = 0
) -> tuple[Graph, dict[str, np.ndarray]]:
    """3x3 convolutions that pass the picture on, a little changed, and one shuffle; no tanh.

    Its radius is `depth + 1`.
    """
    rng = np.random.default_rng(seed)
    tensors: dict[str, np.ndarray] = {}
    nodes: list[Node] = []
    value, inner = "lr", channels
    for i in range(depth + 1):
        last = i == depth
        out = channels * scale**2 if last else width
        weight = rng.normal(0, 0.02, (out, inner, 3, 3))
        for k in range(out):
            colour = k // scale**2 if last else k % channels
            carriers = [j for j in range(inner) if j % channels == colour]
            weight[k, carriers, 1, 1] += 1 / len(carriers)
        name, made = f"conv{i}", "shuffled" if last else f"made{i}"
        tensors[f"{name}.weight"] = np.float32(weight)
        tensors[f"{name}.bias"] = np.zeros(out, np.float32)
        nodes.append(Conv((value,), made, name))
        if not last:
            tensors[f"{name}.slope"] = np.full(out, 0.2, np.float32)
            nodes.append(PRelu((made,), f"bent{i}", name))
        value, inner = f"bent{i}", out
    nodes.append(Shuffle(("shuffled",), "sr", scale))
    return Graph(("lr",), ("sr",), tuple(nodes), (channels,)), tensors


def plain_model(*, scale: int = 4, seed: int = 0) -> Model:
    """A `plain_network` as a model file holds it: it runs from bytes to bytes, and to planes."""
    graph, tensors = plain_network(scale=scale, seed=seed)
    return Model(
        name="plain",
        architecture="plain",
        scale=scale,
        hyperparameters={},
        tensors=tensors,
        license="Apache-2.0",
        layout=graph,
    )
