"""From a model to programs a backend can run, with what tiling needs to know about them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from fourfold.errors import MissingExtra, ModelError, UsageError, option
from fourfold.runtimes.converted import is_foreign, open_foreign
from fourfold.runtimes.onnx_file import read_onnx
from fourfold.runtimes.program import GraphProgram, Program, graph_program
from fourfold.weights.format import Model, blend_models, load_model
from fourfold.weights.graph import Graph, Tensors
from fourfold.weights.importing import import_torch
from fourfold.weights.quantised import Quantised
from fourfold.weights.usage import USUAL, Usage
from fourfold.weights.zoo import RUN_ONLY, TEXTURE_ENDS, get_model, resolve_model_path

LARGEST_RADIUS: Final = 96
"""LR pixels of context a tile may have. Deeper networks (Real-ESRGAN x4plus sees 349) would spend
nearly all work on it (docs/decisions/0072)."""

BLEND_HALO: Final = 64
"""Context of tiles that are blended because no exact halo can be had: what lies beyond changed x4plus
by 0.3 of 255 (RMS), and neighbours fade into each other."""

ATTENTION_GRID: Final = 32
"""Blended tiles begin at multiples of this, so that windows of attention (8, 16 or 32 pixels) cut a tile
as they cut the whole picture."""

_WORTH_PARTS: Final = 2
"""How much memory running in parts must save: crossing through NumPy costs time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A generator ready to be compiled.

    `whole` is the network in one piece; `parts` compute the same one after another, each over
    windows of the size that suits it (see `Graph.split`), or are just `(whole,)`.
    """

    name: str
    sha256: str
    whole: Program
    parts: tuple[Program, ...]
    usage: Usage = USUAL
    """How its file says it is meant to be used."""
    note: str | None = None
    """What there is to say about how it runs here."""

    @property
    def scale(self) -> int:
        """Enlargement."""
        return self.whole.traits.scale

    @property
    def channels(self) -> int:
        """3, or 1 for a network of luma."""
        return self.whole.traits.channels

    @property
    def int8(self) -> Quantised | None:
        """What its file knows of running it in int8."""
        return self.whole.int8 if isinstance(self.whole, GraphProgram) else None

    @property
    def step(self) -> int:
        """Windows begin and end at multiples of this."""
        return self.whole.traits.sizes.multiple

    @property
    def blended(self) -> bool:
        """Whether tiles have to overlap and be blended, since no halo makes them exact."""
        radius = self.whole.traits.radius
        return radius is None or radius > LARGEST_RADIUS

    @property
    def halo(self) -> int:
        """Context that covers the network run in one piece and run in parts."""
        if self.blended:
            return BLEND_HALO
        radii = [part.traits.radius or 0 for part in self.parts]
        # Luma networks leave colour to bicubic, which reads two pixels to each side.
        return max(self.whole.traits.radius or 0, sum(radii), 2 if self.channels == 1 else 0)


def load_network(
    model: str | Path | Model | Network,
    *,
    texture: float | None = None,
    denoise: float | None = None,
    torch: bool = False,
) -> Network:
    """Resolve what users call a model. `texture` and `denoise` blend it with another one.

    With `torch` other projects' torch networks run as they are; else they are converted once.

    Raises `ModelNotFound`, `ModelError`, or `UsageError` for a blend that cannot be.
    """
    if texture is not None or denoise is not None:
        return network_of(_blend(model, texture, denoise))
    if isinstance(model, Network):
        return model
    if not isinstance(model, (str, Path, Model)):
        raise UsageError(f"model: want a name, a path or a Model, got {model!r}")
    if isinstance(model, Model):
        return network_of(model)
    path = resolve_model_path(model)
    if path.suffix.lower() == ".onnx":
        found = read_onnx(path)
        return make_network(found.whole, found.parts, name=path.stem, sha256=found.sha256)
    if path.suffix.lower() == ".param":
        from fourfold.weights.readers.ncnn import read_ncnn

        graph = read_ncnn(path)
        return network_of_graph(graph.graph, graph.tensors, name=path.stem, sha256=graph.sha256)
    if path.suffix.lower() in (".pt", ".ckpt"):
        raise ModelError(
            f"{path}: want .pth or .safetensors with weights alone; {path.suffix} may hold a program, "
            "which is not run"
        )
    if is_foreign(path):
        return _foreign(path, torch=torch)
    return network_of(load_model(path))


def _blend(model: object, texture: float | None, denoise: float | None) -> Model:
    """Between the two networks of `texture`, or between a photo model and its clean one."""
    name, share = ("texture", texture) if denoise is None else ("denoise", denoise)
    if texture is not None and denoise is not None:
        raise UsageError(f"{option('texture')} and {option('denoise')}: want one of them, got both")
    if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 <= share <= 1:
        raise UsageError(f"{option(name)}: want a number from 0 to 1, got {share!r}")
    if name == "denoise":
        photo = _own_model(model)
        if photo is None or not photo.usage.clean:
            raise UsageError(
                f"{option('denoise')} blends a model for photographs with its clean one, which this "
                f"model does not name; leave {option('model')} away"
            )
        return blend_models(get_model(photo.usage.clean), photo, texture=share)
    if model not in TEXTURE_ENDS:
        raise UsageError(
            f"{option('texture')} blends {TEXTURE_ENDS[0]} and {TEXTURE_ENDS[1]}; "
            f"leave {option('model')} away, or make "
            "a file with `fourfold models blend`"
        )
    faithful, detailed = (get_model(name) for name in TEXTURE_ENDS)
    return blend_models(faithful, detailed, texture=share)


def _own_model(model: object) -> Model | None:
    """Ours with its weights; None for what holds none that could be blended."""
    if isinstance(model, (str, Path)):
        path = resolve_model_path(model)
        return None if path.suffix.lower() in RUN_ONLY or is_foreign(path) else load_model(path)
    return model if isinstance(model, Model) else None


_AS_TRAINED: Final = Usage(purpose="photo", consistency=False, shave=0)
"""Many of other people's networks remove what the consistency step would put back."""


def _foreign(path: Path, *, torch: bool) -> Network:
    try:
        found = open_foreign(path, torch=torch)
    except (ModelError, MissingExtra):
        try:  # those that spandrel does not know
            return network_of(import_torch(path))
        except ModelError:
            pass
        raise
    network = make_network(found.whole, found.parts, name=path.stem, sha256=found.sha256)
    note = f"{path.stem} runs by torch: {found.why_torch}" if found.why_torch else None
    return replace(network, usage=_AS_TRAINED, note=note)


def network_of(model: Model) -> Network:
    """The programs of a model of ours."""
    network = network_of_graph(
        model.graph, model.tensors, name=model.name, sha256=model.sha256, int8=model.int8
    )
    return replace(network, usage=model.usage)


def network_of_graph(
    graph: Graph, tensors: Tensors, *, name: str, sha256: str, int8: Quantised | None = None
) -> Network:
    """The programs of any graph with its tensors."""
    parts = tuple(graph_program(part, tensors, int8) for part in graph.split())
    return make_network(graph_program(graph, tensors, int8), parts, name=name, sha256=sha256)


def make_network(
    whole: Program, parts: tuple[Program, ...] = (), *, name: str, sha256: str
) -> Network:
    """A network of any program, such as a `TorchProgram`; parts only where they save memory."""
    saves = len(parts) > 1 and (
        whole.traits.floats_per_pixel > _WORTH_PARTS * parts[0].traits.floats_per_pixel
    )
    return Network(name=name, sha256=sha256, whole=whole, parts=parts if saves else (whole,))
