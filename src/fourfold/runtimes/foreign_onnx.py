"""ONNX files: ours and other people's. What tiling needs is read off the operations."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import Any, Final

import numpy as np

from fourfold.errors import ModelError

_POINTWISE_NAMES: Final = """
Add Sub Mul Div Neg Abs Pow Sqrt Exp Log Min Max Clip Relu LeakyRelu PRelu Elu Selu Gelu
Sigmoid HardSigmoid HardSwish Tanh Softplus Softsign Erf Concat Split Slice Cast Identity
Dropout BatchNormalization Mish Where Sum Mean Gather Unsqueeze Squeeze Constant Shape
ConstantOfShape Floor Ceil Round
"""
_POINTWISE: Final = frozenset(_POINTWISE_NAMES.split())
"""Operations that read no neighbours (or handle shapes only)."""


@dataclass(frozen=True, slots=True)
class ForeignModel:
    """A single-input, single-output RGB upscaler."""

    content: bytes
    scale: int
    halo: int
    sha256: str


def read_foreign_onnx(path: Path) -> ForeignModel:
    """Read an ONNX upscaler and compute its scale and halo.

    Wants one NCHW input of 3 channels with free height and width. `ModelError` says what does not
    fit; an operation with unbounded reach (attention, global pooling) is such a case, since no
    halo makes its tiles seamless.
    """
    import onnx

    try:
        model = onnx.load(str(path))
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf and onnx raise several unrelated types
        raise ModelError(
            f"{path}: want an ONNX model, got an unreadable file ({_first_line(error)})"
        ) from error
    graph = model.graph
    constants = {t.name: t for t in graph.initializer}
    inputs = [i for i in graph.input if i.name not in constants]
    if len(inputs) != 1 or len(graph.output) != 1:
        raise ModelError(
            f"{path}: want one input and one output, got {len(inputs)} and {len(graph.output)}"
        )
    dims = [d.dim_value for d in inputs[0].type.tensor_type.shape.dim]
    if len(dims) != 4 or dims[1] not in (0, 3) or dims[2] or dims[3]:
        raise ModelError(
            f"{path}: want input (N, 3, height, width) with free height and width, got {dims} "
            "(0 is free)"
        )
    scale, halo = _walk(path, graph, inputs[0].name, constants)
    content = path.read_bytes()
    return ForeignModel(content, scale, halo, hashlib.sha256(content).hexdigest())


def _walk(path: Path, graph: Any, start: str, constants: dict[str, Any]) -> tuple[int, int]:
    """Scale and receptive radius of the output, following every operation from the input."""
    scales: dict[str, Fraction] = {start: Fraction(1)}
    radii: dict[str, Fraction] = {start: Fraction(0)}
    for node in graph.node:
        known = [name for name in node.input if name in scales]
        if not known:
            continue
        factor, reach = _reach(path, node, constants)
        scale = scales[known[0]]
        radius = max(radii[name] for name in known) + reach / scale
        for name in node.output:
            scales[name], radii[name] = scale * factor, radius
    output = graph.output[0].name
    scale = scales.get(output, Fraction(0))
    if scale.denominator != 1 or not 1 <= scale <= 16:
        raise ModelError(f"{path}: want a whole enlargement of 1 to 16, got {scale}")
    return int(scale), ceil(radii[output])


def _reach(path: Path, node: Any, constants: dict[str, Any]) -> tuple[Fraction, Fraction]:
    """(enlargement, radius in input pixels) of one operation."""
    attributes = {a.name: a for a in node.attribute}
    kind = node.op_type
    if kind in _POINTWISE:
        return Fraction(1), Fraction(0)
    if kind in ("Conv", "ConvTranspose", "MaxPool", "AveragePool"):
        kernel, stride, dilation = (
            int(attributes[key].ints[0]) if key in attributes else default
            for key, default in (("kernel_shape", 1), ("strides", 1), ("dilations", 1))
        )
        if "kernel_shape" not in attributes and node.input[1] in constants:
            kernel = int(constants[node.input[1]].dims[-1])
        factor = Fraction(stride) if kind == "ConvTranspose" else Fraction(1, stride)
        return factor, Fraction(ceil((kernel - 1) * dilation / 2))
    if kind == "DepthToSpace":
        return Fraction(attributes["blocksize"].i), Fraction(0)
    if kind == "SpaceToDepth":
        return Fraction(1, attributes["blocksize"].i), Fraction(attributes["blocksize"].i)
    if kind in ("Resize", "Upsample"):
        return _resize_factor(path, node, constants), Fraction(2)
    raise ModelError(
        f"{path}: operation {kind} ({node.name or 'unnamed'}) has no known reach, so its tiles "
        "could show seams; this model cannot run here"
    )


def _resize_factor(path: Path, node: Any, constants: dict[str, Any]) -> Fraction:
    from onnx import numpy_helper

    for name in node.input[1:]:
        if name in constants and constants[name].dims and constants[name].dims[0] == 4:
            values = numpy_helper.to_array(constants[name])
            if np.issubdtype(values.dtype, np.floating):
                return Fraction(float(values[2])).limit_denominator(64)
    raise ModelError(f"{path}: {node.op_type} ({node.name}) without fixed scales cannot be tiled")


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
