"""The inference form of a network: a short list of operations over named tensors.

Every backend builds its own network from this list, and the halo of a tile is computed from it,
so nothing in the engine knows an architecture. Values flow by name; the order of `nodes` is the
order of execution. All convolutions have stride 1, odd square kernels and zero padding that keeps
height and width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil
from typing import Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ModelError

Tensors = Mapping[str, npt.NDArray[np.float32]]

RESIZE_REACH: Final[Mapping[str, int]] = {"nearest": 0, "linear": 1, "cubic": 2}
"""Pixels of its input to each side that a pixel made by `Resize` depends on."""


@dataclass(frozen=True, slots=True)
class Node:
    """One operation: reads `inputs`, writes `output`."""

    inputs: tuple[str, ...]
    output: str


@dataclass(frozen=True, slots=True)
class Conv(Node):
    """Convolution with `<name>.weight` (out, in, k, k) and `<name>.bias` (out,)."""

    name: str


@dataclass(frozen=True, slots=True)
class PRelu(Node):
    """`max(x, 0) + slope * min(x, 0)` with one slope per channel, `<name>.slope` (channels,)."""

    name: str


@dataclass(frozen=True, slots=True)
class LeakyRelu(Node):
    """`max(x, 0) + slope * min(x, 0)` with one slope for all; 0 is ReLU."""

    slope: float


@dataclass(frozen=True, slots=True)
class Add(Node):
    """Sum of the inputs, each times its gain; no `gains` are ones."""

    gains: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Concat(Node):
    """The channels of all inputs, one after the other."""


@dataclass(frozen=True, slots=True)
class Shuffle(Node):
    """Pixel shuffle: (C * f * f, H, W) to (C, H * f, W * f), channels counted (channel, row, column)."""

    factor: int


@dataclass(frozen=True, slots=True)
class Resize(Node):
    """Another size by sampling at half-pixel centres: no low-pass, edges repeated.

    `nearest` (whole enlargements only), `linear`, or `cubic` (Keys with a = -0.75, as torch and
    ncnn have it).
    """

    mode: str
    factor: Fraction


@dataclass(frozen=True, slots=True)
class Tanh(Node):
    """Hyperbolic tangent."""


@dataclass(frozen=True, slots=True)
class Affine(Node):
    """`scale * x + offset`."""

    scale: float
    offset: float


@dataclass(frozen=True, slots=True)
class Graph:
    """A network, or a part of one, as the engine sees it; all values are NCHW.

    A whole network has the input `lr`, RGB in [0, 1], and one output, RGB around [0, 1]. A part
    may read and write several values, all inputs of one height and width.
    """

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    nodes: tuple[Node, ...]
    channels: tuple[int, ...] = (3,)
    """Channels of each input; 0 leaves them open."""

    def tensor_names(self) -> list[str]:
        """Names of all tensors the nodes read, in order of use."""
        names: list[str] = []
        for node in self.nodes:
            if isinstance(node, Conv):
                names += [f"{node.name}.weight", f"{node.name}.bias"]
            elif isinstance(node, PRelu):
                names.append(f"{node.name}.slope")
        return names

    def scales(self) -> dict[str, Fraction]:
        """Enlargement of each value relative to the inputs."""
        scales = dict.fromkeys(self.inputs, Fraction(1))
        for node in self.nodes:
            factor = node.factor if isinstance(node, (Shuffle, Resize)) else 1
            scales[node.output] = scales[node.inputs[0]] * factor
        return scales

    @property
    def scale(self) -> int:
        """Enlargement from the inputs to the (last) output."""
        return int(self.scales()[self.outputs[-1]])

    def radii(self, tensors: Tensors) -> dict[str, float]:
        """Input pixels to each side that each value depends on."""
        scales = self.scales()
        radius = dict.fromkeys(self.inputs, 0.0)
        for node in self.nodes:
            own = Fraction(0)
            if isinstance(node, Conv):
                reach = tensors[f"{node.name}.weight"].shape[2] // 2
                own = reach / scales[node.inputs[0]]
            elif isinstance(node, Resize):
                own = RESIZE_REACH[node.mode] / scales[node.inputs[0]]
            radius[node.output] = float(own) + max(radius[name] for name in node.inputs)
        return radius

    def halo(self, tensors: Tensors) -> int:
        """Input pixels around a window that its outputs depend on (receptive radius, rounded up).

        SRResNet with 16 blocks: 4 + 32 + 1 + 1 + 0.5 + 1 = 39.5, so 40.
        """
        radii = self.radii(tensors)
        return ceil(max(radii[name] for name in self.outputs))

    def flops(self, tensors: Tensors) -> int:
        """Floating-point operations per input pixel, convolutions only (2 per multiply-add)."""
        scales = self.scales()
        return int(
            sum(
                2 * tensors[f"{node.name}.weight"].size * scales[node.inputs[0]] ** 2
                for node in self.nodes
                if isinstance(node, Conv)
            )
        )

    def widths(self, tensors: Tensors) -> dict[str, int]:
        """Channels of each value, 0 where an input leaves them open."""
        widths = dict(zip(self.inputs, self.channels, strict=True))
        for node in self.nodes:
            width = widths[node.inputs[0]]
            if isinstance(node, Conv):
                width = tensors[f"{node.name}.weight"].shape[0]
            elif isinstance(node, PRelu):
                width = tensors[f"{node.name}.slope"].shape[0]
            elif isinstance(node, Concat):
                width = sum(widths[name] for name in node.inputs)
            elif isinstance(node, Shuffle):
                width //= node.factor**2
            widths[node.output] = width
        return widths

    def live_floats(self, tensors: Tensors) -> int:
        """Most numbers alive at once per input pixel, when values go after their last use.

        Four bytes each is the least a window takes in fp32; runtimes add copies of their own.
        """
        scales, widths = self.scales(), self.widths(tensors)
        sizes = {name: widths[name] * scales[name] ** 2 for name in scales}
        last_use = {name: i for i, node in enumerate(self.nodes) for name in node.inputs}
        alive = set(self.inputs)
        most = Fraction(0)
        for i, node in enumerate(self.nodes):
            alive.add(node.output)
            most = max(most, sum((sizes[name] for name in alive), Fraction(0)))
            alive -= {n for n in node.inputs if last_use[n] == i and n not in self.outputs}
        return ceil(most)

    def split(self) -> tuple[Graph, ...]:
        """Trunk and upsampler: parts that compute the same one after the other, or just this graph.

        The trunk is deep and its tensors are small, so it wants large windows; the upsampler is
        shallow and its tensors are 16 times as large, so it wants small ones. The cut is in front
        of the convolution that feeds the first enlargement, whose output is already wide.
        """
        scales = self.scales()
        cut = next((i for i, n in enumerate(self.nodes) if scales[n.output] > 1), 0)
        while cut and not isinstance(self.nodes[cut], Conv):
            cut -= 1
        if not cut:
            return (self,)
        return self._part(0, cut), self._part(cut, len(self.nodes))

    def _part(self, start: int, stop: int) -> Graph:
        nodes = self.nodes[start:stop]
        made = [n.output for n in nodes]
        read = {name for n in nodes for name in n.inputs} - set(made)
        inputs = tuple(sorted(read))
        needed = {name for n in self.nodes[stop:] for name in n.inputs} | set(self.outputs)
        channels = tuple(
            dict(zip(self.inputs, self.channels, strict=True)).get(n, 0) for n in inputs
        )
        return Graph(inputs, tuple(name for name in made if name in needed), nodes, channels)


def check_tensors(graph: Graph, tensors: Tensors, *, source: str) -> None:
    """Raise `ModelError` naming missing, left-over, misshapen or non-finite tensors."""
    wanted = set(graph.tensor_names())
    missing, unknown = sorted(wanted - set(tensors)), sorted(set(tensors) - wanted)
    if missing or unknown:
        raise ModelError(
            f"{source}: tensors do not fit the architecture; missing {missing or 'none'}, "
            f"left over {unknown or 'none'}"
        )
    bad = sorted(name for name in wanted if not np.isfinite(tensors[name]).all())
    if bad:
        raise ModelError(f"{source}: want finite weights, got NaN or infinity in {bad}")
    _check_shapes(graph, tensors, source)


def _check_shapes(graph: Graph, tensors: Tensors, source: str) -> None:
    """Every tensor has the shape that its operation and the values before it ask for."""
    widths = dict(zip(graph.inputs, graph.channels, strict=True))
    for node in graph.nodes:
        own = [widths[name] for name in node.inputs]
        wanted, got = _shapes(node, own[0], tensors)
        uneven = isinstance(node, Add) and len(set(own)) > 1
        if wanted != got or uneven or (isinstance(node, Shuffle) and own[0] % node.factor**2):
            raise ModelError(
                f"{source}: the {type(node).__name__} that makes {node.output} wants {wanted or own}, "
                f"got {got}"
            )
        part = Graph(node.inputs, (node.output,), (node,), tuple(own))
        widths[node.output] = part.widths(tensors)[node.output]
    if widths[graph.outputs[-1]] != graph.channels[0]:
        raise ModelError(
            f"{source}: want {graph.channels[0]} channels out, got {widths[graph.outputs[-1]]}"
        )


def _shapes(node: Node, width: int, tensors: Tensors) -> tuple[list[object], list[object]]:
    """Shapes that the tensors of an operation on `width` channels must have, and those they have."""
    if isinstance(node, PRelu):
        return [(width,)], [tensors[f"{node.name}.slope"].shape]
    if not isinstance(node, Conv):
        return [], []
    weight, bias = tensors[f"{node.name}.weight"].shape, tensors[f"{node.name}.bias"].shape
    out, kernel = weight[0] if weight else 1, weight[-1] if weight else 1
    return [(out, width, kernel | 1, kernel | 1), (out,)], [weight, bias]
