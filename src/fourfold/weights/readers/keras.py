"""Keras generators of the SRResNet architecture to training-form tensors.

Layer names carry a creation number (`conv2d`, `conv2d_1`, ...), which may start anywhere when the
process had built other models before; only their order counts, so layers are sorted by number.
"""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import MissingExtra, ModelError
from fourfold.weights.inference_form import SCALES, num_doublings
from fourfold.weights.tensor_file import LARGEST, refuse_absurd

Array = npt.NDArray[np.float32]

KERAS_EPSILON: Final = 1e-3
"""Keras BatchNormalization's default; the known `.h5` generators were trained with it."""

# Layer kinds by the variables they hold, so that renamed layers are found too.
_KINDS: Final = {
    frozenset({"kernel", "bias"}): "conv",
    frozenset({"gamma", "beta", "moving_mean", "moving_variance"}): "norm",
    frozenset({"alpha"}): "prelu",
}


KERAS_ERRORS: Final = (
    *(OSError, KeyError, ValueError, TypeError, AttributeError, RuntimeError, NotImplementedError),
    zipfile.BadZipFile,
)
"""What h5py and zipfile raise for odd and damaged files."""


Layers = dict[str, list[tuple[str, dict[str, Array]]]]
"""Layers with their variables by kind: `conv`, `dense`, `norm`, `prelu`."""


def read_keras_layers(path: Path) -> Layers:
    """Layers with weights of a Keras file by kind (see `Layers`), in creation order.

    Reads what Keras 1 to 3 write: `.h5` weights or whole models, `.weights.h5`, `.keras`. Raises
    `ModelError` for a file that is none of these or holds a layer of another kind.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("reading Keras weights", "train") from error
    refuse_absurd(path, safetensors=False)
    try:
        content = _inside_keras_archive(path)
        with h5py.File(content or path, "r") as file:
            order = [
                _text(name) for name in file.get("model_weights", file).attrs.get("layer_names", ())
            ]
            layers = _gather(file.get("model_weights", file))
    except KERAS_ERRORS as error:
        raise ModelError(f"{path}: want a Keras file, got an unreadable one ({error})") from error
    found: Layers = {"conv": [], "dense": [], "norm": [], "prelu": []}
    for name in _in_creation_order(list(layers), order):
        variables = _named(layers[name])
        kind = _KINDS.get(frozenset(variables))
        if kind == "conv" and variables["kernel"].ndim == 2:
            kind = "dense"
        if kind is None:
            raise ModelError(
                f"{path}: layer {name!r} holds {sorted(variables)}; want only convolutions with "
                "bias, dense layers, BatchNorm and PReLU"
            )
        found[kind].append((name, variables))
    return found


def _inside_keras_archive(path: Path) -> io.BytesIO | None:
    """The weights inside a `.keras` archive; None for a plain HDF5 file."""
    if not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        size = archive.getinfo("model.weights.h5").file_size
        if size > LARGEST:
            raise ValueError(f"its weights claim {size / 1e9:.0f} GB")
        return io.BytesIO(archive.read("model.weights.h5"))


def _gather(group: Any) -> dict[str, dict[str, Array]]:
    """Arrays by layer and short name: `conv2d/conv2d/kernel:0` and `layers/conv2d/vars/0`."""
    layers: dict[str, dict[str, Array]] = {}

    def visit(path: str, item: Any) -> None:
        if not hasattr(item, "shape") or path.startswith("optimizer"):
            return
        *parents, variable = path.split("/")
        layer = next((p for p in reversed(parents) if p != "vars"), "")
        layers.setdefault(layer, {})[variable.split(":")[0]] = plain_array(path, item)

    group.visititems(visit)
    return layers


def plain_array(name: str, item: Any) -> Array:
    """The numbers of an HDF5 data set; `ValueError` for those in other files, and for absurd ones.

    A data set may be stored as a few bytes, compressed or not stored at all, and claim any size.
    """
    if item.external or item.is_virtual:
        raise ValueError(f"{name} lies in another file")
    if item.shape is None or item.dtype.kind not in "fiu":
        raise ValueError(f"{name} holds no numbers")
    if item.size * 4 > LARGEST:
        raise ValueError(f"{name} claims {item.size * 4 / 1e9:.0f} GB")
    return np.asarray(item, np.float32)


def _named(variables: dict[str, Array]) -> dict[str, Array]:
    """Keras 3 numbers the variables of a layer in the order of their creation."""
    names = {2: ("kernel", "bias"), 4: ("gamma", "beta", "moving_mean", "moving_variance")}
    names[1] = ("alpha",)
    wanted = names.get(len(variables), ())
    if set(variables) != {str(i) for i in range(len(wanted))}:
        return variables
    return {name: variables[str(i)] for i, name in enumerate(wanted)}


def _in_creation_order(names: list[str], order: list[str]) -> list[str]:
    """By the number Keras gives; layers their author named go by the file's own order."""
    if all(re.fullmatch(_KERAS_NAME, name) for name in names) or not set(names) <= set(order):
        return sorted(names, key=_creation_number)
    return sorted(names, key=order.index)


_KERAS_NAME: Final = r"(conv2d|dense|batch_normalization(_v\d)?|p_?re_?lu)(_\d+)?"


def _creation_number(name: str) -> tuple[int, str]:
    match = re.search(r"_(\d+)$", name)
    return (int(match[1]) if match else 0, name)


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def srresnet_from_keras(path: Path) -> tuple[dict[str, Array], dict[str, int]]:
    """Training-form tensors and `{scale, num_blocks, width}` of a Keras SRResNet generator.

    Depth, width and scale are read off the layers. `ModelError` names what is missing or left over.
    """
    layers = read_keras_layers(path)
    convs, norms, prelus = layers["conv"], layers["norm"], layers["prelu"]
    if layers["dense"]:
        raise ModelError(
            f"{path}: want an SRResNet generator, which has no dense layers, got "
            f"{[name for name, _ in layers['dense']]}"
        )
    # n blocks, d doublings: 2n + 3 + d convs, 2n + 1 norms, n + 1 + d PReLUs.
    num_blocks, odd = divmod(len(norms) - 1, 2)
    doublings = len(prelus) - num_blocks - 1
    wanted_convs = 2 * num_blocks + 3 + doublings
    if odd or num_blocks < 1 or len(convs) != wanted_convs or not 1 <= doublings <= 3:
        raise ModelError(
            f"{path}: want an SRResNet generator (2n+3+d convolutions, 2n+1 BatchNorms, n+1+d "
            f"PReLUs for n blocks and d = 1, 2 or 3 doublings), got {len(convs)} convolutions, "
            f"{len(norms)} BatchNorms, {len(prelus)} PReLUs; last layers "
            f"{[layer[-1][0] for layer in (convs, norms, prelus) if layer]}"
        )
    scale = SCALES[doublings - 1]
    width = (1, *convs[0][1]["kernel"].shape)[-1]
    plan = _layer_plan(num_blocks=num_blocks, scale=scale, width=width)
    tensors = _convolutions(path, convs, plan)
    norm_targets = [f"blocks.{i}.norm{k}" for i in range(num_blocks) for k in (1, 2)]
    for (name, variables), target in zip(norms, [*norm_targets, "trunk_norm"], strict=True):
        names = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean"}
        names["running_var"] = "moving_variance"
        for ours, theirs in names.items():
            _check_width(path, name, variables[theirs], width)
            tensors[f"{target}.{ours}"] = variables[theirs]
    prelu_targets = [
        "head_act",
        *(f"blocks.{i}.act" for i in range(num_blocks)),
        *(f"upsample_acts.{j}" for j in range(doublings)),
    ]
    for (name, variables), target in zip(prelus, prelu_targets, strict=True):
        slope = variables["alpha"]
        if slope.size != (1, *slope.shape)[-1]:
            raise ModelError(
                f"{path}: layer {name!r}: want one slope per channel (shared_axes=[1, 2]), "
                f"got {slope.shape}, which fixes the picture size"
            )
        _check_width(path, name, slope.reshape(-1), width)
        tensors[f"{target}.weight"] = slope.reshape(-1)
    return tensors, {"scale": scale, "num_blocks": num_blocks, "width": width}


def _convolutions(
    path: Path,
    convs: list[tuple[str, dict[str, Array]]],
    plan: list[tuple[str, tuple[int, int, int, int], bool]],
) -> dict[str, Array]:
    """Weights and biases of the convolutions, in torch's order of axes and channels."""
    tensors: dict[str, Array] = {}
    for (name, variables), (target, shape, shuffled) in zip(convs, plan, strict=True):
        kernel, bias = variables["kernel"], variables["bias"]
        if kernel.shape != shape:
            raise ModelError(
                f"{path}: layer {name!r} ({target}): want kernel {shape}, got {kernel.shape}"
            )
        _check_width(path, name, bias, shape[-1])
        weight = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
        if shuffled:
            order = _depth_to_space_order(kernel.shape[-1])
            weight, bias = weight[order], bias[order]
        tensors[f"{target}.weight"], tensors[f"{target}.bias"] = weight, bias
    return tensors


def _check_width(path: Path, name: str, values: Array, width: int) -> None:
    if values.shape != (width,):
        raise ModelError(f"{path}: layer {name!r}: want ({width},), got {values.shape}")


def _layer_plan(
    *, num_blocks: int, scale: int, width: int
) -> list[tuple[str, tuple[int, int, int, int], bool]]:
    """(our name, Keras kernel shape, followed by depth_to_space) of each convolution in order."""
    body = (3, 3, width, width)
    plan = [("head", (9, 9, 3, width), False)]
    plan += [(f"blocks.{i}.conv{k}", body, False) for i in range(num_blocks) for k in (1, 2)]
    plan.append(("trunk", body, False))
    plan += [(f"upsample.{j}", (3, 3, width, 4 * width), True) for j in range(num_doublings(scale))]
    plan.append(("tail", (9, 9, width, 3), False))
    return plan


def _depth_to_space_order(channels: int) -> npt.NDArray[np.intp]:
    """Where pixel_shuffle's channel (channel, row, column) stands in TensorFlow's (row, column, channel)."""
    return np.arange(channels).reshape(2, 2, channels // 4).transpose(2, 0, 1).reshape(-1)
