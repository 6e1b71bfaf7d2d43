"""From a model to programs a backend can run, with what tiling needs to know about them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fourfold.engine.backend import Program
from fourfold.engine.foreign_onnx import read_foreign_onnx
from fourfold.errors import UsageError
from fourfold.weights.format import Model, blend_models, load_model
from fourfold.weights.graph import Graph
from fourfold.weights.zoo import BUNDLED, TEXTURE_ENDS, get_model, resolve_model_path


@dataclass(frozen=True, slots=True)
class Stage:
    """A program that runs on windows of its own size."""

    program: Program
    scale: int
    halo: int
    """Input pixels around a window that what is kept depends on."""


@dataclass(frozen=True, slots=True)
class Network:
    """A generator ready to be compiled.

    `whole` is the network in one piece. `parts`, where it can be cut, is a deep trunk and a wide
    upsampler: the trunk wants large windows (its halo is 37 pixels), the upsampler small ones
    (its tensors are 4 kB a pixel and more), so together they compute less twice.
    """

    name: str
    scale: int
    sha256: str
    whole: Stage
    parts: tuple[Stage, Stage] | None
    flops_per_pixel: int
    """Floating-point operations per LR pixel; 0 when unknown."""

    @property
    def halo(self) -> int:
        """Context that covers the network run in one piece and run in parts."""
        in_parts = sum(stage.halo for stage in self.parts) if self.parts else 0
        return max(self.whole.halo, in_parts)


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
        if not 0 <= texture <= 1:
            raise UsageError(f"--texture: want 0 (faithful) to 1 (most detail), got {texture:g}")
        faithful, detailed = (get_model(name) for name in TEXTURE_ENDS)
        return network_of(blend_models(faithful, detailed, texture=texture))
    if isinstance(model, Model):
        return network_of(model)
    path = resolve_model_path(model)
    if path.suffix.lower() == ".onnx":
        return _foreign_network(path)
    return network_of(load_model(path))


def network_of(model: Model) -> Network:
    """The programs of a model of ours."""
    graph, tensors = model.graph, model.tensors

    def stage(part: Graph) -> Stage:
        own = {name: tensors[name] for name in part.tensor_names()}
        return Stage(Program(part, own), part.scale, part.halo(own))

    cut = graph.split()
    return Network(
        name=model.name,
        scale=model.scale,
        sha256=model.sha256,
        whole=stage(graph),
        parts=(stage(cut[0]), stage(cut[1])) if cut else None,
        flops_per_pixel=graph.flops(tensors),
    )


def _foreign_network(path: Path) -> Network:
    found = read_foreign_onnx(path)
    program = Program(None, {}, found.content)
    return Network(
        name=path.stem,
        scale=found.scale,
        sha256=found.sha256,
        whole=Stage(program, found.scale, found.halo),
        parts=None,
        flops_per_pixel=0,
    )


