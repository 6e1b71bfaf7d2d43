"""Tiny random networks, so that tests of everything around them take milliseconds."""

from __future__ import annotations

import numpy as np

from fourfold.weights.format import Model
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


def halo_of(model: Model) -> int:
    """Receptive radius of a model in LR pixels."""
    options = {"scale": model.scale, "hyperparameters": model.hyperparameters}
    return build_graph(model.architecture, **options).halo(model.tensors)
