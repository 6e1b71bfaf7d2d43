"""The inference form of a network: a short list of operations over named tensors.

Every backend builds its own network from this list, and the halo of a tile is computed from it,
so nothing in the engine knows an architecture. Values flow by name; the order of `nodes` is the
order of execution. All convolutions have stride 1, odd square kernels and zero padding that keeps
height and width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil

import numpy as np
import numpy.typing as npt

from fourfold.errors import ModelError

Tensors = Mapping[str, npt.NDArray[np.float32]]


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
class Add(Node):
    """Sum of the two inputs."""


@dataclass(frozen=True, slots=True)
class Shuffle(Node):
    """Pixel shuffle: (C * f * f, H, W) to (C, H * f, W * f), channels counted (channel, row, column)."""

    factor: int


@dataclass(frozen=True, slots=True)
class Bilinear(Node):
    """Bilinear enlargement with half-pixel centres, edges repeated."""

    factor: int


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
    """A network as the engine sees it: RGB in [0, 1] in, RGB around [0, 1] out, NCHW."""

    input: str
    output: str
    nodes: tuple[Node, ...]
    in_channels: int = 3

    def tensor_names(self) -> list[str]:
        """Names of all tensors the nodes read, in order of use."""
        names: list[str] = []
        for node in self.nodes:
            if isinstance(node, Conv):
                names += [f"{node.name}.weight", f"{node.name}.bias"]
            elif isinstance(node, PRelu):
                names.append(f"{node.name}.slope")
        return names

    def scales(self) -> dict[str, int]:
        """Enlargement of each value relative to the input."""
        scales = {self.input: 1}
        for node in self.nodes:
            factor = node.factor if isinstance(node, (Shuffle, Bilinear)) else 1
            scales[node.output] = scales[node.inputs[0]] * factor
        return scales

    @property
    def scale(self) -> int:
        """Enlargement from input to output."""
        return self.scales()[self.output]

    def halo(self, tensors: Tensors) -> int:
        """Input pixels around a window that its output depends on (receptive radius, rounded up).

        SRResNet with 16 blocks: 4 + 32 + 1 + 1 + 0.5 + 1 = 39.5, so 40.
        """
        scales = self.scales()
        radius = {self.input: 0.0}
        for node in self.nodes:
            own = 0.0
            if isinstance(node, Conv):
                own = (tensors[f"{node.name}.weight"].shape[2] // 2) / scales[node.inputs[0]]
            elif isinstance(node, Bilinear):
                own = 1 / scales[node.inputs[0]]
            radius[node.output] = own + max(radius[name] for name in node.inputs)
        return ceil(radius[self.output])

    def flops(self, tensors: Tensors) -> int:
        """Floating-point operations per input pixel, convolutions only (2 per multiply-add)."""
        scales = self.scales()
        return sum(
            2 * tensors[f"{node.name}.weight"].size * scales[node.inputs[0]] ** 2
            for node in self.nodes
            if isinstance(node, Conv)
        )

    def split(self) -> tuple[Graph, Graph] | None:
        """Cut where the small tensors end: trunk (scale 1) and upsampler, or None.

        The trunk is deep and narrow, the upsampler shallow and wide, so each runs best on windows
        of its own size. A cut needs a single value that crosses it; networks that also carry the
        input across (MSRResNet's bilinear skip) run whole.
        """
        scales = self.scales()
        first = next((i for i, n in enumerate(self.nodes) if scales[n.output] > 1), None)
        if first is None:
            return None
        # Step back over the wide layers that only feed the first enlargement.
        cut = first
        while cut > 0 and isinstance(self.nodes[cut - 1], (Conv, PRelu)):
            cut -= 1
            if isinstance(self.nodes[cut], Conv):
                break
        produced = {self.input} | {n.output for n in self.nodes[:cut]}
        crossing = {name for n in self.nodes[cut:] for name in n.inputs if name in produced}
        if len(crossing) != 1 or cut == 0:
            return None
        (value,) = crossing
        trunk = replace(self, output=value, nodes=self.nodes[:cut])
        upsampler = replace(self, input=value, nodes=self.nodes[cut:], in_channels=0)
        return trunk, upsampler


def check_tensors(graph: Graph, tensors: Tensors, *, source: str) -> None:
    """Raise `ModelError` naming missing, left-over or non-finite tensors."""
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
