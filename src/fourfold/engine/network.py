"""From a model to programs a backend can run, with what tiling needs to know about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fourfold.errors import UsageError
from fourfold.runtimes.backend import Program
from fourfold.runtimes.foreign_onnx import read_foreign_onnx
from fourfold.weights.format import Model, blend_models, load_model
from fourfold.weights.graph import Graph, Tensors
from fourfold.weights.usage import USUAL, Usage
from fourfold.weights.zoo import BUNDLED, TEXTURE_ENDS, get_model, resolve_model_path

LARGEST_HALO: Final = 96
"""Context a tile gets at most, in LR pixels. Very deep networks reach further on paper (Real-ESRGAN
x4plus: 349), but nothing that shows depends on it (docs/decisions/0072)."""


@dataclass(frozen=True, slots=True)
class Stage:
    """A program that runs on windows of its own size."""

    program: Program
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    scale: int
    halo: int
    """Input pixels around a window that what is kept depends on."""


@dataclass(frozen=True, slots=True)
class Network:
    """A generator ready to be compiled.

    `whole` is the network in one piece; `parts` compute the same one after another, each over
    windows of the size that suits it (see `Graph.split`).
    """

    name: str
    scale: int
    sha256: str
    whole: Stage
    parts: tuple[Stage, ...]
    flops_per_pixel: int
    """Floating-point operations per LR pixel; 0 when unknown."""
    usage: Usage = USUAL
    """How its file says it is meant to be used."""

    @property
    def halo(self) -> int:
        """Context that covers the network run in one piece and run in parts."""
        return max(self.whole.halo, sum(stage.halo for stage in self.parts))


def load_network(model: str | Path | Model, *, texture: float | None = None) -> Network:
    """Resolve what users call a model. `texture` blends the two bundled networks.

    Raises `ModelNotFound`, `ModelError`, or `UsageError` for a texture with another model.
    """
    if texture is not None:
        if not isinstance(model, str) or model not in BUNDLED:
            raise UsageError(
                f"--texture blends {TEXTURE_ENDS[0]} and {TEXTURE_ENDS[1]}; leave -n away, or make "
                "a file with `fourfold models blend`"
            )
        if not isinstance(texture, (int, float)):
            raise UsageError(f"--texture: want a number from 0 to 1, got {texture!r}")
        faithful, detailed = (get_model(name) for name in TEXTURE_ENDS)
        return network_of(blend_models(faithful, detailed, texture=texture))
    if not isinstance(model, (str, Path, Model)):
        raise UsageError(f"model: want a name, a path or a Model, got {model!r}")
    if isinstance(model, Model):
        return network_of(model)
    path = resolve_model_path(model)
    if path.suffix.lower() == ".onnx":
        return _foreign_network(path)
    if path.suffix.lower() == ".param":
        from fourfold.weights.readers.ncnn import read_ncnn

        found = read_ncnn(path)
        return network_of_graph(found.graph, found.tensors, name=path.stem, sha256=found.sha256)
    return network_of(load_model(path))


def network_of(model: Model) -> Network:
    """The programs of a model of ours."""
    network = network_of_graph(model.graph, model.tensors, name=model.name, sha256=model.sha256)
    return replace(network, usage=model.usage)


def network_of_graph(graph: Graph, tensors: Tensors, *, name: str, sha256: str) -> Network:
    """The programs of any graph with its tensors."""

    def stage(part: Graph) -> Stage:
        own = {name: tensors[name] for name in part.tensor_names()}
        halo = min(part.halo(own), LARGEST_HALO)
        return Stage(Program(part, own), part.inputs, part.outputs, part.scale, halo)

    return Network(
        name=name,
        scale=graph.scale,
        sha256=sha256,
        whole=stage(graph),
        parts=tuple(stage(part) for part in graph.split()),
        flops_per_pixel=graph.flops(tensors),
    )


def _foreign_network(path: Path) -> Network:
    found = read_foreign_onnx(path)
    whole = Stage(Program(None, {}, found.content), ("lr",), ("sr",), found.scale, found.halo)
    return Network(
        name=path.stem,
        scale=found.scale,
        sha256=found.sha256,
        whole=whole,
        parts=(whole,),
        flops_per_pixel=0,
    )
