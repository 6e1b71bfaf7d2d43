"""ONNX files for other runtimes, written only after they proved equal to torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

import numpy as np

from fourfold.errors import ModelError
from fourfold.files.paths import atomic_path
from fourfold.runtimes.openvino import open_openvino
from fourfold.runtimes.program import OnnxProgram, graph_program
from fourfold.runtimes.torch import open_torch
from fourfold.weights.format import Model
from fourfold.weights.to_onnx import build_onnx

PARITY_SIZES: Final = ((8, 8), (17, 31), (64, 48))
"""Heights and widths the exported file is tried on: tiny, odd, not square."""

PARITY_TOLERANCE: Final = 1e-4
"""Largest difference allowed, of full scale."""


def export_onnx(model: Model, path: Path) -> float:
    """Write `model` as ONNX (`input` and `output`, NCHW, RGB in [0, 1], dynamic height and width).

    Returns the largest difference from torch over `PARITY_SIZES`; more than `PARITY_TOLERANCE`
    raises `ModelError` and nothing is written.
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
    difference = parity(content, model)
    if not difference <= PARITY_TOLERANCE:
        raise ModelError(
            f"{path}: the ONNX form differs from torch by {difference:.2g} of full scale (want at "
            f"most {PARITY_TOLERANCE:g}); nothing written"
        )
    with atomic_path(path) as part:
        part.write_bytes(content)
    return difference


def parity(content: bytes, model: Model) -> float:
    """Largest difference between an ONNX file and the same weights in torch, on random pictures."""
    program = graph_program(model.graph, model.tensors)
    exported = OnnxProgram(content, program.traits)
    candidate = open_openvino(exported, device="cpu", precision="fp32")
    reference = open_torch(program, device="cpu", precision="fp32")
    rng = np.random.default_rng(0)
    worst = 0.0
    for height, width in PARITY_SIZES:
        lr_nchw = rng.random((1, 3, height, width), np.float32)
        (a,), (b,) = candidate.run(lr_nchw), reference.run(lr_nchw)
        if a.shape != b.shape:
            raise ModelError(f"the ONNX form gives {a.shape} where torch gives {b.shape}")
        worst = max(worst, float(np.abs(a - b).max()))
    return worst


__all__ = ["PARITY_SIZES", "PARITY_TOLERANCE", "export_onnx", "parity"]
