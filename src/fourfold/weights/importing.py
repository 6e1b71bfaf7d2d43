"""Other projects' generators as models of ours."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final

from fourfold.errors import ModelError
from fourfold.weights.format import Model, load_model
from fourfold.weights.inference_form import fold_srresnet
from fourfold.weights.readers.keras import KERAS_EPSILON, srresnet_from_keras
from fourfold.weights.readers.state_dict import read_state_dict, unwrap_state_dict
from fourfold.weights.torch_layouts import read_state


def import_keras(path: Path) -> Model:
    """A Keras `.h5` SRResNet generator of any depth, width and scale."""
    tensors, shape = srresnet_from_keras(path)
    scale, num_blocks = shape["scale"], shape["num_blocks"]
    folded = fold_srresnet(tensors, scale=scale, num_blocks=num_blocks, epsilon=KERAS_EPSILON)
    return Model(
        name=path.stem,
        architecture="srresnet",
        scale=scale,
        hyperparameters={"num_blocks": num_blocks, "width": shape["width"]},
        tensors=folded,
        source=f"imported from Keras {path.name}",
    )


def import_torch(path: Path) -> Model:
    """A `.pth` or `.safetensors` of torch weights: SRResNet as we export it, or BasicSR's MSRResNet."""
    source = str(path)
    model = read_state(unwrap_state_dict(read_state_dict(path), source=source), source=source)
    return replace(model, name=path.stem, source=f"imported from {path.name}")


IMPORTERS: Final[Mapping[str, Callable[[Path], Model]]] = {
    ".h5": import_keras,
    ".hdf5": import_keras,
    ".keras": import_keras,
    ".pth": import_torch,
    ".pt": import_torch,
    ".safetensors": load_model,
}


def import_model(path: Path) -> Model:
    """Read a generator by its suffix; `ModelError` for a missing file or an unknown kind."""
    if not path.is_file():
        what = "want a file, got a folder" if path.is_dir() else "no such file"
        raise ModelError(f"{path}: {what}")
    importer = IMPORTERS.get(path.suffix.lower())
    if importer is None:
        raise ModelError(
            f"{path}: want one of {', '.join(IMPORTERS)}, got {path.suffix or 'no suffix'}"
        )
    return importer(path)


__all__ = ["IMPORTERS", "import_keras", "import_model", "import_torch"]
