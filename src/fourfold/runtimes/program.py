"""What a runtime runs: a graph of ours, an ONNX file, or a torch module.

Each says what tiling needs to know of it. Values are NCHW; whatever a program computes in, its
results leave as fp32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Any, Final

from fourfold.weights.graph import Graph, Tensors
from fourfold.weights.quantised import Quantised

EVERY_BACKEND: Final = ("openvino", "onnxruntime", "torch")


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeRule:
    """Heights and widths a program takes, in its input pixels."""

    multiple: int = 1
    """Both are multiples of this; windows also begin at multiples of it."""
    minimum: int = 1
    square: bool = False

    def fit(self, height: int, width: int) -> tuple[int, int]:
        """The least size that obeys the rule and is no smaller.

        >>> SizeRule(multiple=8, minimum=16).fit(5, 33)
        (16, 40)
        """
        height, width = (
            -(-max(n, self.minimum) // self.multiple) * self.multiple for n in (height, width)
        )
        return (max(height, width),) * 2 if self.square else (height, width)


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What the engine must know of a program, whichever kind it is."""

    scale: int
    radius: int | None
    """Input pixels to each side that a result depends on; None: no bound is known, so tiles have
    to be blended."""
    floats_per_pixel: int
    """Most numbers alive at once per input pixel, which a window takes in memory."""
    channels: int = 3
    """Of a picture that goes in and comes out: 3, or 1 for networks of luma."""
    sizes: SizeRule = SizeRule()
    flops_per_pixel: int = 0
    """Floating-point operations per input pixel, convolutions only; 0 when unknown."""
    parameters: int = 0
    """Weights that are not zero; 0 when unknown."""


@dataclass(frozen=True, slots=True)
class GraphProgram:
    """A network of ours or a part of one: every backend builds it from its operations."""

    graph: Graph
    tensors: Tensors
    traits: Traits
    int8: Quantised | None = None
    """How the network it is of, or a part of, runs in int8."""

    backends = EVERY_BACKEND

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of the values it reads."""
        return self.graph.inputs

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the values it makes."""
        return self.graph.outputs

    def to_onnx(self) -> bytes:
        """As ONNX with free height and width."""
        from fourfold.weights.to_onnx import build_onnx

        content: bytes = build_onnx(self.graph, self.tensors).SerializeToString()
        return content


@dataclass(frozen=True, slots=True)
class OnnxProgram:
    """An ONNX file, or a part cut out of one; quantised ones too."""

    content: bytes
    traits: Traits
    inputs: tuple[str, ...] = ("lr",)
    outputs: tuple[str, ...] = ("sr",)

    backends = ("openvino", "onnxruntime")

    def to_onnx(self) -> bytes:
        """The file as it is."""
        return self.content


@dataclass(frozen=True, slots=True)
class TorchProgram:
    """Any torch module that takes and gives one NCHW picture with values around [0, 1]."""

    module: Any
    traits: Traits

    backends = ("torch",)
    inputs = ("lr",)
    outputs = ("sr",)


Program = GraphProgram | OnnxProgram | TorchProgram


def graph_program(graph: Graph, tensors: Tensors, int8: Quantised | None = None) -> GraphProgram:
    """A graph with its tensors of all there are, and what is read off them."""
    own: Mapping[str, Any] = {name: tensors[name] for name in graph.tensor_names()}
    multiple = lcm(*(Fraction(scale).denominator for scale in graph.scales().values()))
    return GraphProgram(
        graph,
        own,
        Traits(
            scale=graph.scale,
            radius=graph.halo(own),
            floats_per_pixel=graph.live_floats(own),
            sizes=SizeRule(multiple=multiple, minimum=multiple),
            flops_per_pixel=graph.flops(own),
            parameters=sum(int((t != 0).sum()) for t in own.values()),
        ),
        int8,
    )


__all__ = [
    "EVERY_BACKEND",
    "GraphProgram",
    "OnnxProgram",
    "Program",
    "SizeRule",
    "TorchProgram",
    "Traits",
    "graph_program",
]
