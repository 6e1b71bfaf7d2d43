"""ONNX files for other runtimes."""

from __future__ import annotations

import json
from pathlib import Path

from fourfold.export.parity import check_parity
from fourfold.files.paths import atomic_path
from fourfold.runtimes.program import OnnxProgram, graph_program
from fourfold.weights.format import Model
from fourfold.weights.to_onnx import build_onnx


def export_onnx(model: Model, path: Path) -> float:
    """Write `model` as ONNX (`input` and `output`, NCHW, RGB in [0, 1], dynamic height and width).

    Returns the largest difference from torch; see `check_parity`.
    """
    metadata = {
        "architecture": model.architecture,
        "scale": str(model.scale),
        "hyperparameters": json.dumps(dict(model.hyperparameters), sort_keys=True),
        "license": model.license,
        "source": model.source,
        "sha256": model.sha256,
    }
    content = build_onnx(model.graph, model.tensors, metadata=metadata).SerializeToString()
    traits = graph_program(model.graph, model.tensors).traits
    difference = check_parity(OnnxProgram(content, traits), model, path)
    with atomic_path(path) as part:
        part.write_bytes(content)
    return difference


__all__ = ["export_onnx"]
