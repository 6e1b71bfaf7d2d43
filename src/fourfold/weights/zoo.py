"""Names people type to models: bundled ones, files, training runs."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from fourfold.errors import ModelNotFound, UsageError, did_you_mean
from fourfold.weights.format import Model, load_model
from fourfold.weights.getting import brought

logger = logging.getLogger(__name__)

BUNDLED_DIR: Final = Path(__file__).parent.parent / "bundled"
DEFAULT_MODEL: Final = "srgan-x4"
BUNDLED: Final = (
    "srgan-x4",
    "srresnet-x4",
    "srresnet-fast-x4",
    "srgan-photo-x4",
    "srgan-photo-fast-x4",
    "srgan-photo-clean-x4",
    "srresnet-live-x4",
    "srgan-photo-live-x4",
    "srgan-fast-x4",
)
"""Files of `BUNDLED_DIR`: for clean pictures, small ones for films, for damaged photographs."""

BLEND_ONLY: Final = frozenset({"srgan-photo-clean-x4"})
"""Those of `BUNDLED` that are there to be blended with another; others do their own work better."""

RUN_ONLY: Final = (".onnx", ".param", ".pth")
"""Suffixes of other programs' networks: run as they are, not blended, shown or exported."""

TEXTURE_ENDS: Final = ("srresnet-x4", "srgan-x4")
"""What `texture` blends: 0 is the first, 1 the second."""


def resolve_model_path(name: str | Path) -> Path:
    """The file behind a bundled name, one that was brought, a model file or a training run folder.

    Raises `ModelNotFound` naming what exists.
    """
    path = _model_path(name)
    logger.debug("model %s is %s", name, path)
    return path


def _model_path(name: str | Path) -> Path:
    text = str(name)
    if text in BUNDLED:
        return BUNDLED_DIR / f"{text}.safetensors"
    path = Path(name)
    if path.is_dir():
        inside = path / "model.safetensors"
        if inside.is_file():
            return inside
        raise ModelNotFound(
            f"{path}: want a training run with model.safetensors, found none; "
            "training writes it with its first checkpoint"
        )
    if path.is_file() and path.suffix.lower() == ".bin":
        path = path.with_suffix(".param")  # ncnn's pair goes by the name of its text
    if path.is_file():
        return path
    here = brought()
    if text in here:
        return here[text]
    known = (*BUNDLED, *here)
    near = did_you_mean(text, known)
    want = f"{near} Else want" if near else "want"
    raise ModelNotFound(
        f"{text}: no such model; {want} {', '.join(known)}, a .safetensors, .pth, .onnx "
        "or ncnn .param file, a training run folder, or what `fourfold models get` brings"
    )


def get_model(name: str | Path = DEFAULT_MODEL) -> Model:
    """Load a model by bundled name, file or run folder.

    Raises `UsageError` for `.onnx`, `.param` and `.pth` files: they can be run, but hold no weights of a
    network that is known here.
    """
    path = resolve_model_path(name)
    if path.suffix.lower() in RUN_ONLY:
        raise UsageError(
            f"{path}: {path.suffix} files run in `upscale` and `evaluate` only; here a bundled name, a "
            ".safetensors file or a training run is wanted"
        )
    return load_model(path)
