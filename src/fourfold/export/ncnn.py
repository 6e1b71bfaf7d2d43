"""ncnn's two files, as Upscayl and realesrgan-ncnn-vulkan read them: blobs `data` and `output`.

Written from the graph, layer by layer (ncnn's docs/developer-guide/operators.md), in fp32.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from fourfold.errors import ModelError
from fourfold.export.parity import check_parity
from fourfold.files.paths import atomic_path
from fourfold.runtimes.program import graph_program
from fourfold.weights import graph as ops
from fourfold.weights.format import Model
from fourfold.weights.graph import Graph, Node, Tensors
from fourfold.weights.readers.ncnn import parse_ncnn
from fourfold.weights.readers.ncnn_files import ARRAY_KEYS, MAGIC, Number

_RESIZE_TYPES: Final = {"nearest": 1, "linear": 2, "cubic": 3}
_UNTAGGED: Final = bytes(4)
"""In front of a convolution's weights: they are fp32."""

_Settings = Mapping[int, Number]
_NONE: Final[_Settings] = {}


def export_ncnn(model: Model, path: Path) -> float:
    """Write `model` as `path` (`.param`) and the `.bin` beside it; both are there or neither is new.

    Returns the largest difference from torch of what our own reader makes of them; see
    `check_parity`.
    """
    text, data = build_ncnn(model.graph, model.tensors)
    back = parse_ncnn(path, text, data)
    difference = check_parity(graph_program(back.graph, back.tensors), model, path)
    with atomic_path(path) as param, atomic_path(path.with_suffix(".bin")) as binary:
        param.write_text(text, encoding="utf-8", newline="\n")
        binary.write_bytes(data)
    return difference


def build_ncnn(graph: Graph, tensors: Tensors) -> tuple[str, bytes]:
    """The content of `.param` and `.bin`."""
    writer = _Writer(graph)
    writer.layer("Input", (), "data")
    writer.share("lr")
    for node in graph.nodes:
        writer.node(node, tensors)
        writer.share(node.output)
    lines = [MAGIC, f"{len(writer.lines)} {writer.num_blobs}", *writer.lines]
    return "\n".join(lines) + "\n", b"".join(writer.weights)


class _Writer:
    """Lines and weights in the order of the layers. A blob is read once, so Splits hand out copies."""

    def __init__(self, graph: Graph) -> None:
        self.lines: list[str] = []
        self.weights: list[bytes] = []
        self.num_blobs = 0
        self._uses = Counter(name for node in graph.nodes for name in node.inputs)
        self._names = {"lr": "data", **dict.fromkeys(graph.outputs, "output")}
        self._copies: dict[str, list[str]] = {}

    def layer(
        self, kind: str, inputs: tuple[str, ...], *outputs: str, settings: _Settings = _NONE
    ) -> None:
        """One line."""
        words = [kind, f"layer{len(self.lines)}", str(len(inputs)), str(len(outputs))]
        numbers = (_setting(key, value) for key, value in settings.items())
        self.lines.append(" ".join((*words, *inputs, *outputs, *numbers)))
        self.num_blobs += len(outputs)

    def share(self, value: str) -> None:
        """Copies of a value that several nodes read."""
        blob, count = self._blob(value), self._uses[value]
        self._copies[value] = [blob] if count < 2 else [f"{blob}.{i}" for i in range(count)]
        if count > 1:
            self.layer("Split", (blob,), *self._copies[value])

    def _blob(self, value: str) -> str:
        return self._names.get(value, value)

    def node(self, node: Node, tensors: Tensors) -> None:
        """The layers of one operation."""
        inputs = tuple(self._copies[name].pop() for name in node.inputs)
        output = self._blob(node.output)
        match node:
            case ops.Conv(name=name):
                weight = tensors[f"{name}.weight"]
                out, _, kernel, _ = weight.shape
                shape = {0: out, 1: kernel, 4: kernel // 2, 5: 1, 6: weight.size}
                self.layer("Convolution", inputs, output, settings=shape)
                self.weights += [_UNTAGGED, _bytes(weight), _bytes(tensors[f"{name}.bias"])]
            case ops.PRelu(name=name):
                slope = tensors[f"{name}.slope"]
                self.layer("PReLU", inputs, output, settings={0: slope.size})
                self.weights.append(_bytes(slope))
            case ops.Affine(scale=scale, offset=offset):
                scaled = f"{output}.scaled"
                self.layer("BinaryOp", inputs, scaled, settings={0: 2, 1: 1, 2: scale})
                self.layer("BinaryOp", (scaled,), output, settings={0: 0, 1: 1, 2: offset})
            case _:
                kind, settings = _without_tensors(node)
                self.layer(kind, inputs, output, settings=settings)


def _without_tensors(node: Node) -> tuple[str, _Settings]:
    """Type and settings of an operation that reads nothing but its inputs."""
    match node:
        case ops.LeakyRelu(slope=slope):
            return "ReLU", {0: slope}
        case ops.Add(gains=gains):
            return "Eltwise", {0: 1, 1: gains} if gains else {0: 1}
        case ops.Concat():
            return "Concat", {0: 0}
        case ops.Shuffle(factor=factor):
            return "PixelShuffle", {0: factor}
        case ops.Tanh():
            return "TanH", {}
        case ops.Resize(mode=mode, factor=factor):
            return "Interp", {0: _RESIZE_TYPES[mode], 1: float(factor), 2: float(factor)}
    raise ModelError(f"no ncnn form of {type(node).__name__}")


def _setting(key: int, value: Number) -> str:
    """`0=16`, or `-23301=2,1.0,0.5` for array 1; floats have a point, by which ncnn knows them."""
    if isinstance(value, tuple):
        return f"{ARRAY_KEYS - key}={','.join(map(str, (len(value), *value)))}"
    return f"{key}={value}"


def _bytes(array: np.ndarray) -> bytes:
    return np.ascontiguousarray(array, "<f4").tobytes()


__all__ = ["build_ncnn", "export_ncnn"]
