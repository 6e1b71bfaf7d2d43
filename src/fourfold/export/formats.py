"""A model in the format that a file's name asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from fourfold.errors import UsageError
from fourfold.export.ncnn import export_ncnn
from fourfold.export.onnx import export_onnx
from fourfold.export.torch_file import export_torch
from fourfold.weights.format import Model

EXPORTERS: Final[Mapping[str, Callable[[Model, Path], float]]] = {
    ".onnx": export_onnx,
    ".param": export_ncnn,
    ".pth": export_torch,
    ".safetensors": export_torch,
}


def check_export(path: Path) -> None:
    """Raise `UsageError` for a name of no known format."""
    if path.suffix.lower() not in EXPORTERS:
        raise UsageError(f"-o {path}: want a name ending in {', '.join(EXPORTERS)}")


def export_model(model: Model, path: Path) -> float:
    """Write `model` to `path`, whole or not at all; an earlier file is replaced.

    Returns the largest difference from torch, of full scale; 0 where the weights are the same.
    Raises `UsageError` for a name of no known format, `ModelError` where the format cannot hold
    the network.
    """
    check_export(path)
    return EXPORTERS[path.suffix.lower()](model, path)


__all__ = ["EXPORTERS", "check_export", "export_model"]
