"""Our model file: safetensors with string metadata that describes it completely.

Metadata keys: `format` (`pt`, so that other tools open it), `fourfold` (format version),
`architecture`, `scale`, `hyperparameters` (JSON), `form` (always `inference`, see
`inference_form`), `license`, `source`, `training` (JSON), `sha256` of the tensors, `usage` (JSON, see
`usage`; none for the usual one), `graph`, the network as text (see `graph_text`), which only the
architectures of `inference_form` can do without, and `int8` (JSON, see `quantised`) where it can run so.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ModelError, UsageError, option
from fourfold.files.paths import atomic_path
from fourfold.weights.graph import Graph, check_tensors
from fourfold.weights.graph_text import read_graph, write_graph
from fourfold.weights.inference_form import build_graph
from fourfold.weights.quantised import PREFIX, Quantised, read_quantised, write_quantised
from fourfold.weights.tensor_file import refuse_absurd
from fourfold.weights.usage import USUAL, Usage, read_usage, write_usage

FORMAT_VERSION: Final = "1"
_STORED: Final = {"fp16": np.float16, "fp32": np.float32}
_SAFETENSORS_NAMES: Final = {
    np.dtype(np.float16): "F16",
    np.dtype(np.float32): "F32",
    np.dtype(np.int8): "I8",
}


@dataclass(frozen=True, slots=False, kw_only=True)
class Model:
    """A generator in its inference form, with everything needed to run and to credit it."""

    name: str
    architecture: str
    scale: int
    hyperparameters: Mapping[str, int]
    tensors: Mapping[str, npt.NDArray[np.float32]]
    license: str = "unknown"
    source: str = ""
    training: Mapping[str, Any] = field(default_factory=dict)
    usage: Usage = USUAL
    """What it needs when it is used."""
    layout: Graph | None = None
    """The network, where the architecture's name alone does not say it."""
    int8: Quantised | None = None
    """How it runs in int8, where that has been worked out."""

    @cached_property
    def graph(self) -> Graph:
        """The network as a list of operations; `ModelError` for an unknown one without `layout`."""
        return self.layout or build_graph(
            self.architecture, scale=self.scale, hyperparameters=self.hyperparameters
        )

    @cached_property
    def sha256(self) -> str:
        """Hash of names, shapes and values (as float32), independent of how they are stored."""
        return tensors_sha256(self.tensors)

    @property
    def num_parameters(self) -> int:
        """Stored numbers; the rewritten tail counts its structural zeros."""
        return sum(t.size for t in self.tensors.values())


def tensors_sha256(tensors: Mapping[str, npt.NDArray[np.float32]]) -> str:
    """SHA-256 over sorted names, shapes and little-endian float32 values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name], "<f4")
        digest.update(f"{name}{list(array.shape)}".encode())
        digest.update(array.data)
    return digest.hexdigest()


def save_model(model: Model, path: Path, *, storage: str = "fp32") -> None:
    """Write `model` to `path` by rename; `storage` is `fp32` or `fp16` (half the size).

    The same model gives the same bytes. Raises `ModelError` for weights that do not fit the
    architecture or are not finite, and for values that overflow fp16.
    """
    check_tensors(model.graph, model.tensors, source=str(path))
    with np.errstate(over="ignore"):
        stored: dict[str, npt.NDArray[Any]] = {
            name: np.asarray(t, _STORED[storage]) for name, t in model.tensors.items()
        }
    overflow = sorted(name for name, t in stored.items() if not np.isfinite(t).all())
    if overflow:
        raise ModelError(f"{path}: {overflow} do not fit fp16; store as fp32")
    back = {name: t.astype(np.float32) for name, t in stored.items()}
    metadata = {
        "format": "pt",
        "fourfold": FORMAT_VERSION,
        "name": model.name,
        "architecture": model.architecture,
        "scale": str(model.scale),
        "hyperparameters": json.dumps(dict(model.hyperparameters), sort_keys=True),
        "form": "inference",
        "license": model.license,
        "source": model.source,
        "training": json.dumps(dict(model.training), sort_keys=True),
        "sha256": tensors_sha256(back),
    }
    if model.usage != USUAL:
        metadata["usage"] = write_usage(model.usage)
    if model.layout is not None:
        metadata["graph"] = write_graph(model.layout)
    if model.int8 is not None:
        facts, metadata["int8"] = write_quantised(model.int8)
        stored |= facts
    with atomic_path(path) as part:
        part.write_bytes(serialize(stored, metadata))


def serialize(tensors: Mapping[str, npt.NDArray[Any]], metadata: Mapping[str, str]) -> bytes:
    """The safetensors layout with sorted keys.

    The library's writer orders metadata by a random hash, so its files differ from run to run;
    a file that is compared by hash must not.
    """
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    blobs: list[bytes] = []
    offset = 0
    for name in sorted(tensors):
        blob = np.ascontiguousarray(tensors[name]).tobytes()
        header[name] = {
            "dtype": _SAFETENSORS_NAMES[tensors[name].dtype],
            "shape": list(tensors[name].shape),
            "data_offsets": [offset, offset + len(blob)],
        }
        blobs.append(blob)
        offset += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + b"".join(blobs)


def is_other(path: Path) -> bool:
    """Whether a `.safetensors` file is whole and of another project; False where `load_model` knows more."""
    from safetensors import SafetensorError, safe_open

    refuse_absurd(path)
    try:
        with safe_open(str(path), framework="numpy") as file:
            return "fourfold" not in (file.metadata() or {})
    except (SafetensorError, OSError, TypeError):
        return False


def load_model(path: Path) -> Model:
    """Read a model file; `ModelError` for anything damaged, incomplete or of another kind."""
    from safetensors import SafetensorError, safe_open

    refuse_absurd(path)
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, TypeError) as error:
        raise ModelError(
            f"{path}: want a .safetensors model, got an unreadable file ({error})"
        ) from error
    if "fourfold" not in metadata:
        raise ModelError(
            f"{path}: a .safetensors file, but not a fourfold model (no 'fourfold' metadata); other "
            "projects' networks run in `upscale` and `evaluate` only"
        )
    if metadata["fourfold"] != FORMAT_VERSION:
        raise ModelError(
            f"{path}: model format {metadata['fourfold']}, this version reads {FORMAT_VERSION}; "
            "update fourfold"
        )
    try:
        model = Model(
            name=metadata.get("name") or path.stem,
            architecture=metadata["architecture"],
            scale=int(metadata["scale"]),
            hyperparameters=_hyperparameters(metadata["hyperparameters"]),
            tensors={
                name: np.asarray(t, np.float32)
                for name, t in stored.items()
                if not name.startswith(PREFIX)
            },
            license=metadata.get("license", "unknown"),
            source=metadata.get("source", ""),
            training=_table(metadata.get("training", "{}"), "training"),
            usage=read_usage(metadata.get("usage", "{}"), source=str(path)),
            layout=read_graph(metadata["graph"], source=str(path)) if "graph" in metadata else None,
        )
    except (KeyError, ValueError, RecursionError) as error:
        raise ModelError(f"{path}: incomplete model description ({error!r})") from error
    try:
        graph = model.graph
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from error
    check_tensors(graph, model.tensors, source=str(path))
    if graph.inputs != ("lr",) or graph.scale != model.scale:
        raise ModelError(f"{path}: the network enlarges {graph.scale}x, not {model.scale}x")
    if metadata.get("sha256") != model.sha256:
        raise ModelError(
            f"{path}: weights do not match their SHA-256; the file is damaged, get it again"
        )
    if "int8" in metadata:
        int8 = read_quantised(stored, metadata["int8"], graph, model.tensors, source=str(path))
        return replace(model, int8=int8)
    return model


def _table(text: str, name: str) -> dict[str, Any]:
    values = json.loads(text)
    if not isinstance(values, dict):
        raise ValueError(f"{name} is no table")
    return values


def _hyperparameters(text: str) -> dict[str, Any]:
    """Settings of a network; `ValueError` for what would build an endless one."""
    values = _table(text, "hyperparameters")
    absurd = [key for key, value in values.items() if isinstance(value, int) and value > 4096]
    if absurd:
        raise ValueError(f"{absurd[0]}={values[absurd[0]]}")
    return values


def blend_models(faithful: Model, detailed: Model, *, texture: float) -> Model:
    """Weights `(1 - texture) * faithful + texture * detailed`; 0 and 1 return the models themselves.

    Network interpolation in weight space (Wang et al. 2019, DNI); it works because the second
    network was trained from the first. `ModelError` when their architectures differ.
    """
    if not 0 <= texture <= 1:
        raise UsageError(
            f"{option('texture')}: want 0 (faithful) to 1 (most detail), got {texture:g}"
        )
    first, second = faithful, detailed
    same = (first.architecture, first.scale, dict(first.hyperparameters)) == (
        second.architecture,
        second.scale,
        dict(second.hyperparameters),
    )
    if not same:
        raise ModelError(
            f"cannot blend {first.name} ({first.architecture} x{first.scale} "
            f"{dict(first.hyperparameters)}) with {second.name} ({second.architecture} "
            f"x{second.scale} {dict(second.hyperparameters)}): want two networks of one shape"
        )
    if texture in (0, 1):
        return second if texture else first
    weight = np.float32(texture)
    tensors = {
        name: (1 - weight) * first.tensors[name] + weight * second.tensors[name]
        for name in first.tensors
    }
    licenses = sorted({first.license, second.license})
    return Model(
        name=f"{first.name}+{second.name}@{texture:g}",
        architecture=first.architecture,
        scale=first.scale,
        hyperparameters=first.hyperparameters,
        tensors=tensors,
        license=" AND ".join(licenses),
        source=f"blend of {first.sha256} and {second.sha256}",
        # Agreement with the input would bring back what one of them removes.
        usage=first.usage if second.usage.consistency else second.usage,
        layout=first.layout,
        training={"blend": {"faithful": first.name, "detailed": second.name, "texture": texture}},
    )
