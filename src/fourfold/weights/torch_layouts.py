"""Networks of ours in the layouts of torch files, both ways: names and shapes, nothing of torch.

`srresnet` as it is trained, without BatchNorm; `msrresnet` as BasicSR's MSRResNet
(basicsr/archs/srresnet_arch.py); `plain` as Real-ESRGAN's SRVGGNetCompact (one way: spandrel reads
it). States map a name to an array.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ModelError
from fourfold.weights.format import Model
from fourfold.weights.graph import check_tensors
from fourfold.weights.inference_form import fold_srresnet, num_doublings, unfold_srresnet

Array = npt.NDArray[np.float32]
State = Mapping[str, Array]

LEAKY_SLOPE: Final = 0.1  # MSRResNet's LeakyReLU; its residual blocks use plain ReLU

SRRESNET_KEYS: Final = frozenset(
    ("head.weight", "head_act.weight", "blocks.0.act.weight", "upsample_acts.0.weight")
)
MSRRESNET_KEYS: Final = frozenset(
    ("conv_first.weight", "body.0.conv1.weight", "upconv1.weight", "conv_hr.weight")
)
"""Keys that tell a layout from those of all other networks."""

_MSRRESNET_NAMES: Final = (
    ("conv_first", "head"),
    (r"body\.(\d+)\.conv([12])", r"blocks.\1.conv\2"),
    ("upconv1", "upsample.0"),
    ("upconv2", "upsample.1"),
    ("conv_hr", "hr"),
    ("conv_last", "tail"),
)


def read_state(state: State, *, source: str) -> Model:
    """The model in a state of SRResNet or MSRResNet; `ModelError` naming what does not belong."""
    try:
        model = _srresnet(state) if state.keys() >= SRRESNET_KEYS else _msrresnet(state)
        graph = model.graph
    except ModelError as error:
        raise ModelError(f"{source}: {error}") from error
    except (ValueError, IndexError, ArithmeticError) as error:
        raise ModelError(f"{source}: tensors of shapes that fit no network ({error})") from error
    check_tensors(graph, model.tensors, source=source)
    return model


def _srresnet(state: State) -> Model:
    blocks, doublings = (_count(state, name) for name in ("blocks", "upsample"))
    scale = 2**doublings
    tensors = fold_srresnet(state, scale=scale, num_blocks=blocks, epsilon=0)
    return _model("srresnet", scale, blocks, tensors)


def _msrresnet(state: State) -> Model:
    tensors: dict[str, Array] = {}
    unknown = []
    for key, value in state.items():
        layer, _, part = key.rpartition(".")
        name = _msrresnet_name(layer)
        if name is None or part not in ("weight", "bias"):
            unknown.append(key)
        else:
            tensors[f"{name}.{part}"] = value
    if unknown or "head.weight" not in tensors or "upsample.0.weight" not in tensors:
        raise ModelError(
            "want a BasicSR MSRResNet (conv_first, body.N.conv1/2, upconv1, conv_hr, "
            f"conv_last), got left-over keys {sorted(unknown)[:8] or 'none'} among "
            f"{sorted(state)[:4]}..."
        )
    width = int(tensors["head.weight"].shape[0])
    factor_squared = tensors["upsample.0.weight"].shape[0] // width
    scale = 4 if "upsample.1.weight" in tensors else {4: 2, 9: 3}.get(factor_squared, 2)
    blocks = _count(tensors, "blocks")
    for name in ("head", "hr", "upsample.0", "upsample.1"):
        if f"{name}.weight" in tensors:
            channels = tensors[f"{name}.weight"].shape[0]
            tensors[f"{name}.slope"] = np.full(channels, LEAKY_SLOPE, np.float32)
    for i in range(blocks):
        tensors[f"blocks.{i}.slope"] = np.zeros(width, np.float32)
    return _model("msrresnet", scale, blocks, tensors)


def _msrresnet_name(layer: str) -> str | None:
    for pattern, name in _MSRRESNET_NAMES:
        if re.fullmatch(pattern, layer):
            return re.sub(pattern, name, layer)
    return None


def _count(state: State, name: str) -> int:
    """Layers called `name.0` and so on."""
    found = (re.match(rf"{name}\.(\d+)\.", key) for key in state)
    return max((int(match[1]) for match in found if match), default=-1) + 1


def _model(architecture: str, scale: int, num_blocks: int, tensors: State) -> Model:
    return Model(
        name=architecture,
        architecture=architecture,
        scale=scale,
        hyperparameters={"num_blocks": num_blocks, "width": int(tensors["head.weight"].shape[0])},
        tensors=tensors,
    )


def _srresnet_state(model: Model) -> dict[str, Array]:
    shape = {"scale": model.scale, "num_blocks": model.hyperparameters["num_blocks"]}
    return unfold_srresnet(model.tensors, **shape)


def _msrresnet_state(model: Model) -> dict[str, Array]:
    names = {"head": "conv_first", "hr": "conv_hr", "tail": "conv_last"}
    stages = 1 if model.scale == 3 else num_doublings(model.scale)
    names |= {f"upsample.{j}": f"upconv{j + 1}" for j in range(stages)}
    for i in range(model.hyperparameters["num_blocks"]):
        names |= {f"blocks.{i}.conv{k}": f"body.{i}.conv{k}" for k in (1, 2)}
    parts = ("weight", "bias")
    return {
        f"{theirs}.{p}": model.tensors[f"{ours}.{p}"]
        for ours, theirs in names.items()
        for p in parts
    }


def _compact_state(model: Model) -> dict[str, Array]:
    """Activations count as layers: convolution `i` is `body.2i`, its slopes are `body.2i+1`."""
    last = model.hyperparameters["depth"] + 1
    state = {}
    for i in range(last + 1):
        name = "tail" if i == last else f"body.{i}"
        for part in ("weight", "bias"):
            state[f"body.{2 * i}.{part}"] = model.tensors[f"{name}.{part}"]
        if i < last:
            state[f"body.{2 * i + 1}.weight"] = model.tensors[f"{name}.slope"]
    return state


WRITERS: Final[Mapping[str, Callable[[Model], dict[str, Array]]]] = {
    "srresnet": _srresnet_state,
    "msrresnet": _msrresnet_state,
    "plain": _compact_state,
}


def write_state(model: Model, *, source: str) -> dict[str, Array]:
    """The model's weights as a torch file holds them.

    `ModelError` naming `source` for another architecture, and for weights that this layout cannot
    hold exactly.
    """
    if model.architecture not in WRITERS:
        raise ModelError(
            f"{source}: want a network that torch files have a layout for ({', '.join(WRITERS)}), "
            f"got {model.architecture!r}; .onnx and .param hold any"
        )
    try:
        state = WRITERS[model.architecture](model)
        exact = model.architecture == "plain" or _same(read_state(state, source=source), model)
    except KeyError as error:
        raise ModelError(f"{source}: {model.name} has no tensor {error}") from error
    if not exact:
        raise ModelError(
            f"{source}: the weights of {model.name} are no {model.architecture} that this layout can "
            "hold exactly; .onnx and .param hold any"
        )
    return state


def _same(back: Model, model: Model) -> bool:
    shapes = [(m.scale, dict(m.hyperparameters), m.sha256) for m in (back, model)]
    return shapes[0] == shapes[1]


__all__ = ["LEAKY_SLOPE", "MSRRESNET_KEYS", "SRRESNET_KEYS", "WRITERS", "read_state", "write_state"]
