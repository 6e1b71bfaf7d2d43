"""ncnn networks (`.param` with its `.bin`) as graphs of ours.

The text names layers, blobs and numbered parameters (ncnn's docs/developer-guide/param-and-model-file
-structure.md, operators.md); the binary holds weights in the order of the layers. What is not known
here exactly is named and refused: a network that runs almost right is worse than one that does not.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from math import isclose
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from fourfold.errors import ModelError
from fourfold.weights import graph as ops
from fourfold.weights.graph import Graph, Node, check_tensors
from fourfold.weights.readers.ncnn_files import Array, Layer, Weights, parse_param
from fourfold.weights.tensor_file import refuse_absurd

_SAME: Final = (-233, -234)  # ncnn's SAME_UPPER and SAME_LOWER; one thing for odd kernels
_RESIZE_TYPES: Final = {1: "nearest", 2: "linear", 3: "cubic"}
_LARGEST_SCALE: Final = 16
_LARGEST_TEXT: Final = 16 << 20
"""Bytes of a `.param`; that of the deepest network at hand has 100 kB."""


class NcnnModel(NamedTuple):
    """A network read from ncnn's files; RGB in [0, 1] in, the same out."""

    graph: Graph
    tensors: dict[str, Array]
    sha256: str


class _Shape(NamedTuple):
    channels: int
    scale: Fraction


@dataclass(slots=True)
class _Builder:
    weights: Weights
    nodes: list[Node] = field(default_factory=list)
    tensors: dict[str, Array] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    """Value of the graph behind each blob."""

    shapes: dict[str, _Shape] = field(default_factory=dict)

    def inputs(self, layer: Layer, count: int | None = None) -> tuple[str, ...]:
        """The graph's values a layer reads, of one size."""
        if len(layer.inputs) != count if count else len(layer.inputs) < 2:
            raise layer.refuse(f"want {count or '2 or more'} inputs, got {len(layer.inputs)}")
        missing = [blob for blob in layer.inputs if blob not in self.values]
        if missing:
            raise layer.refuse(f"reads {missing[0]}, which no layer before it makes")
        names = tuple(self.values[blob] for blob in layer.inputs)
        if len({self.shapes[name].scale for name in names}) > 1:
            raise layer.refuse("want inputs of one size")
        return names

    def emit(self, layer: Layer, node: Node, shape: _Shape, *, last: bool = True) -> None:
        self.nodes.append(node)
        self.shapes[node.output] = shape
        if last:
            self.hand_on(layer, node.output)

    def hand_on(self, layer: Layer, value: str) -> None:
        for blob in layer.outputs:
            if blob in self.values:
                raise layer.refuse(f"makes {blob} a second time")
            self.values[blob] = value


def read_ncnn(path: Path) -> NcnnModel:
    """Read `path` (`.param`) and the `.bin` beside it.

    `ModelError` in one line for a missing or damaged file, an unknown layer or setting, weights
    that do not fit, and anything but RGB in and RGB out, enlarged 1 to 16 times.
    """
    binary = path.with_suffix(".bin")
    if not binary.is_file():
        raise ModelError(f"{path}: want its weights beside it, found no {binary.name}")
    refuse_absurd(path, largest=_LARGEST_TEXT, safetensors=False)
    refuse_absurd(binary, safetensors=False)
    try:
        text, data = path.read_text("utf-8"), binary.read_bytes()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: want ncnn's text format, got {error}") from error
    return parse_ncnn(path, text, data)


def parse_ncnn(path: Path, text: str, data: bytes) -> NcnnModel:
    """The network in the two files' content; `path` is what errors name, as in `read_ncnn`."""
    binary = path.with_suffix(".bin")
    layers = parse_param(path, text)
    unknown = sorted({layer.kind for layer in layers} - set(_LAYERS))
    if unknown:
        raise ModelError(
            f"{path}: ncnn layers that cannot run here: {', '.join(unknown)}; "
            f"known: {', '.join(sorted(_LAYERS))}"
        )
    builder = _Builder(Weights(binary, data))
    for layer in layers:
        _LAYERS[layer.kind](builder, layer)
    if builder.weights.position != len(data):
        raise ModelError(
            f"{binary}: want {builder.weights.position} bytes, got {len(data)}; the file is "
            "damaged or belongs to another .param"
        )
    graph = _finish(path, builder, layers)
    check_tensors(graph, builder.tensors, source=str(binary))
    digest = hashlib.sha256(text.encode() + b"\0" + data).hexdigest()
    return NcnnModel(graph, builder.tensors, digest)


def _finish(path: Path, builder: _Builder, layers: list[Layer]) -> Graph:
    read = {blob for layer in layers for blob in layer.inputs}
    ends = [blob for layer in layers for blob in layer.outputs if blob not in read]
    starts = sum(layer.kind == "Input" for layer in layers)
    if starts != 1 or len(ends) != 1 or not builder.nodes:
        raise ModelError(f"{path}: want one input and one output, got {starts} and {len(ends)}")
    last = builder.values[ends[0]]
    shape = builder.shapes[last]
    if (
        shape.channels != 3
        or shape.scale.denominator != 1
        or not 1 <= shape.scale <= _LARGEST_SCALE
    ):
        raise ModelError(
            f"{path}: want RGB enlarged 1 to {_LARGEST_SCALE} times, got {shape.channels} channels, "
            f"{float(shape.scale):g} times"
        )
    nodes = _fold_gains(builder.nodes, builder.tensors)
    nodes = [replace(node, output="sr") if node.output == last else node for node in nodes]
    return Graph(("lr",), ("sr",), tuple(nodes))


def _fold_gains(nodes: list[Node], tensors: dict[str, Array]) -> list[Node]:
    """A gain on a sum's input that one convolution makes for it alone goes into its weights."""
    uses = Counter(name for node in nodes for name in node.inputs)
    convolutions = {
        n.output: n.name for n in nodes if isinstance(n, ops.Conv) and uses[n.output] == 1
    }
    folded: list[Node] = []
    for node in nodes:
        if isinstance(node, ops.Add) and node.gains:
            gains = list(node.gains)
            for i, name in enumerate(node.inputs):
                if name in convolutions:
                    for tensor in ("weight", "bias"):
                        tensors[f"{convolutions[name]}.{tensor}"] *= np.float32(gains[i])
                    gains[i] = 1
            plain = all(gain == 1 for gain in gains)
            node = replace(node, gains=() if plain else tuple(gains))  # noqa: PLW2901
        folded.append(node)
    return folded


def _input(builder: _Builder, layer: Layer) -> None:
    builder.shapes["lr"] = _Shape(3, Fraction(1))
    builder.hand_on(layer, "lr")


def _identity(builder: _Builder, layer: Layer) -> None:
    builder.hand_on(layer, builder.inputs(layer, 1)[0])


def _convolution(builder: _Builder, layer: Layer) -> None:
    kernel, out, size = layer.integer(1), layer.integer(0), layer.integer(6)
    for what, key in (("dilation", 2), ("dilation", 12), ("stride", 3), ("stride", 13)):
        layer.want(what, key, 1)
    layer.want("kernel height equal to width", 11, kernel)
    pad = layer.integer(4)
    for key in (4, 14, 15, 16):
        layer.want("padding that keeps the size,", key, kernel // 2, *_SAME, default=pad)
    for what, key in (("int8", 8), ("padding value", 18), ("dynamic weights", 19)):
        layer.want(what, key, 0)
    inputs = builder.inputs(layer, 1)
    shape = builder.shapes[inputs[0]]
    if kernel < 1 or kernel % 2 == 0 or out < 1 or size != out * shape.channels * kernel**2:
        raise layer.refuse(
            f"want an odd kernel and outputs x {shape.channels} channels x kernel² weights, got "
            f"kernel {kernel}, {out} outputs, {size} weights"
        )
    name = f"{len(builder.nodes)}.{layer.name}"
    weight = builder.weights.take_tagged(layer, size)
    tensors = builder.tensors
    tensors[f"{name}.weight"] = weight.reshape(out, shape.channels, kernel, kernel)
    biased = layer.integer(5)
    tensors[f"{name}.bias"] = (
        builder.weights.take(layer, out) if biased else np.zeros(out, np.float32)
    )
    activation, slopes = layer.integer(9), layer.array(10)
    if activation not in (0, 1, 2) or (activation == 2 and len(slopes) != 1):
        raise layer.refuse(f"want no activation, ReLU or leaky ReLU, got number {activation}")
    shape = shape._replace(channels=out)
    builder.emit(layer, ops.Conv(inputs, name, name), shape, last=not activation)
    if activation:
        _leak(builder, layer, name, slopes[0] if activation == 2 else 0.0)


def _leak(builder: _Builder, layer: Layer, value: str, slope: float) -> None:
    node = ops.LeakyRelu((value,), f"{len(builder.nodes)}.{layer.name}", slope)
    builder.emit(layer, node, builder.shapes[value])


def _relu(builder: _Builder, layer: Layer) -> None:
    _leak(builder, layer, builder.inputs(layer, 1)[0], layer.number(0))


def _prelu(builder: _Builder, layer: Layer) -> None:
    inputs = builder.inputs(layer, 1)
    shape, count = builder.shapes[inputs[0]], layer.integer(0)
    if count not in (1, shape.channels):
        raise layer.refuse(f"want 1 or {shape.channels} slopes, got {count}")
    slopes = builder.weights.take(layer, count)
    name = f"{len(builder.nodes)}.{layer.name}"
    builder.tensors[f"{name}.slope"] = np.broadcast_to(slopes, (shape.channels,)).copy()
    builder.emit(layer, ops.PRelu(inputs, name, name), shape)


def _concat(builder: _Builder, layer: Layer) -> None:
    layer.want("axis", 0, 0)
    inputs = builder.inputs(layer)
    channels = sum(builder.shapes[name].channels for name in inputs)
    shape = builder.shapes[inputs[0]]._replace(channels=channels)
    builder.emit(layer, ops.Concat(inputs, f"{len(builder.nodes)}.{layer.name}"), shape)


def _sum(builder: _Builder, layer: Layer, gains: tuple[float, ...]) -> None:
    inputs = builder.inputs(layer)
    if len({builder.shapes[name] for name in inputs}) > 1:
        raise layer.refuse("want inputs with equally many channels")
    if gains and len(gains) != len(inputs):
        raise layer.refuse(f"want {len(inputs)} coefficients, got {len(gains)}")
    node = ops.Add(inputs, f"{len(builder.nodes)}.{layer.name}", gains)
    builder.emit(layer, node, builder.shapes[inputs[0]])


def _eltwise(builder: _Builder, layer: Layer) -> None:
    layer.want("a sum (operation 1),", 0, 1, default=0)
    _sum(builder, layer, layer.array(1))


def _binary_op(builder: _Builder, layer: Layer) -> None:
    operation, b = layer.integer(0), layer.number(2)
    if not layer.integer(1):
        layer.want("a sum (0) or difference (1),", 0, 0, 1)
        _sum(builder, layer, (1.0, -1.0) if operation else ())
        return
    layer.want("+ - * / (operations 0 to 3) or b - a (7),", 0, 0, 1, 2, 3, 7)
    if operation == 3 and b == 0:
        raise layer.refuse("divides by 0")
    forms = {0: (1.0, b), 1: (1.0, -b), 2: (b, 0.0), 3: (1 / (b or 1.0), 0.0), 7: (-1.0, b)}
    inputs = builder.inputs(layer, 1)
    name = f"{len(builder.nodes)}.{layer.name}"
    builder.emit(layer, ops.Affine(inputs, name, *forms[operation]), builder.shapes[inputs[0]])


def _interp(builder: _Builder, layer: Layer) -> None:
    layer.want("nearest, bilinear or bicubic (types 1 to 3),", 0, 1, 2, 3, default=0)
    for what, key in (("fixed height", 3), ("fixed width", 4), ("size", 5), ("aligned corners", 6)):
        layer.want(what, key, 0)
    mode = _RESIZE_TYPES[layer.integer(0)]
    height, width = layer.number(1, 1), layer.number(2, 1)
    factor = Fraction(height).limit_denominator(_LARGEST_SCALE)
    if height != width or factor <= 0 or not isclose(factor, height, rel_tol=1e-6):
        raise layer.refuse(f"want one simple factor for both sides, got {height:g} and {width:g}")
    if mode == "nearest" and factor.denominator != 1:
        raise layer.refuse(f"want a whole factor of nearest, got {float(factor):g}")
    inputs = builder.inputs(layer, 1)
    shape = builder.shapes[inputs[0]]
    shape = shape._replace(scale=shape.scale * factor)
    node = ops.Resize(inputs, f"{len(builder.nodes)}.{layer.name}", mode, factor)
    builder.emit(layer, node, shape)


def _pixel_shuffle(builder: _Builder, layer: Layer) -> None:
    layer.want("mode", 1, 0)
    factor, inputs = layer.integer(0, 1), builder.inputs(layer, 1)
    shape = builder.shapes[inputs[0]]
    if factor < 1 or shape.channels % factor**2:
        raise layer.refuse(f"want channels that divide by {factor}², got {shape.channels}")
    shape = _Shape(shape.channels // factor**2, shape.scale * factor)
    builder.emit(layer, ops.Shuffle(inputs, f"{len(builder.nodes)}.{layer.name}", factor), shape)


def _tanh(builder: _Builder, layer: Layer) -> None:
    inputs = builder.inputs(layer, 1)
    name = f"{len(builder.nodes)}.{layer.name}"
    builder.emit(layer, ops.Tanh(inputs, name), builder.shapes[inputs[0]])


_LAYERS: Final[Mapping[str, Callable[[_Builder, Layer], None]]] = {
    "BinaryOp": _binary_op,
    "Concat": _concat,
    "Convolution": _convolution,
    "Eltwise": _eltwise,
    "Input": _input,
    "Interp": _interp,
    "Noop": _identity,
    "PReLU": _prelu,
    "PixelShuffle": _pixel_shuffle,
    "ReLU": _relu,
    "Split": _identity,
    "TanH": _tanh,
}

__all__ = ["NcnnModel", "parse_ncnn", "read_ncnn"]
