"""What is exported is written only after it proved equal to torch."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np

from fourfold.errors import ModelError
from fourfold.runtimes.openvino import open_openvino
from fourfold.runtimes.program import Program, graph_program
from fourfold.runtimes.torch import open_torch
from fourfold.weights.format import Model

PARITY_SIZES: Final = ((8, 8), (17, 31), (64, 48))
"""Heights and widths an exported file is tried on: tiny, odd, not square."""

PARITY_TOLERANCE: Final = 1e-4
"""Largest difference allowed, of full scale."""


def check_parity(exported: Program, model: Model, path: Path) -> float:
    """Largest difference from the same weights in torch, on random pictures of `PARITY_SIZES`.

    More than `PARITY_TOLERANCE` raises `ModelError` naming `path`, where the file was to stand.
    """
    candidate = open_openvino(exported, device="cpu", precision="fp32")
    original = graph_program(model.graph, model.tensors)
    reference = open_torch(original, device="cpu", precision="fp32")
    rng = np.random.default_rng(0)
    worst = 0.0
    for height, width in PARITY_SIZES:
        lr_nchw = rng.random((1, 3, height, width), np.float32)
        (a,), (b,) = candidate.run(lr_nchw), reference.run(lr_nchw)
        if a.shape != b.shape:
            raise ModelError(f"{path}: gives {a.shape} where torch gives {b.shape}")
        worst = max(worst, float(np.abs(a - b).max()))
    if not worst <= PARITY_TOLERANCE:
        raise ModelError(
            f"{path}: differs from torch by {worst:.2g} of full scale (want at most "
            f"{PARITY_TOLERANCE:g}); nothing written"
        )
    return worst


__all__ = ["PARITY_SIZES", "PARITY_TOLERANCE", "check_parity"]
