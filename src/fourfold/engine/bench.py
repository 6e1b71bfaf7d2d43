"""How fast each backend and precision runs here, against plain torch and the machine's ceiling.

All ways take turns round by round, so a slow minute of the machine hits all of them alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np

from fourfold.engine.upscaler import Upscaler
from fourfold.errors import MissingExtra, ModelError
from fourfold.runtimes.openvino import cpu_precisions
from fourfold.weights.format import Model
from fourfold.weights.inference_form import trained_flops
from fourfold.weights.zoo import get_model

REFERENCE: Final = "torch eager fp32, as trained"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Speed of one way of running the network."""

    name: str
    seconds: float
    """Median over the rounds."""
    megapixels_per_second: float
    """Of output."""
    gflops: float
    """Achieved, in GFLOP/s of the network as trained, whatever the rewriting saves."""
    ratio: float | None
    """Against the reference; median of the ratios round by round."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Result of `measure`."""

    model: str
    size: int
    rates: tuple[Rate, ...]
    matmul_gflops: dict[str, float]
    """The machine's own ceiling: a 2048 cubed product, best of the rounds."""


def measure(model: str | Path = "srgan-x4", *, size: int = 256, rounds: int = 5) -> Report:
    """Time the network on a random `size` by `size` picture, `rounds` times each way.

    The bare network is measured (no consistency step). Ways whose packages are missing are left
    out; without torch there is no reference and ratios are None.
    """
    loaded = get_model(model)
    picture = np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8)
    ways = _ways(loaded, picture)
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for run in ways.values():
        run()
    for _ in range(rounds):
        for name, run in ways.items():
            started = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - started)
    flops = trained_flops(loaded.architecture, loaded.graph, loaded.tensors) * size**2
    out_pixels = (size * loaded.scale) ** 2
    rates = []
    for name, times in seconds.items():
        median = float(np.median(times))
        ratio = None
        if REFERENCE in seconds:
            ratio = float(np.median(np.divide(seconds[REFERENCE], times)))
        rate = out_pixels / 1e6 / median
        rates.append(
            Rate(
                name=name,
                seconds=median,
                megapixels_per_second=rate,
                gflops=flops / 1e9 / median,
                ratio=ratio,
            )
        )
    return Report(
        model=loaded.name, size=size, rates=tuple(rates), matmul_gflops=_matmul_ceiling(rounds)
    )


def _ways(model: Model, picture: np.ndarray) -> dict[str, Callable[[], Any]]:
    ways: dict[str, Callable[[], Any]] = {}
    reference = _torch_reference(model, picture)
    if reference is not None:
        ways[REFERENCE] = reference
    own = [p for p in cpu_precisions() if p != "int8" or model.int8 is not None]
    combinations = [("openvino", precision) for precision in own]
    combinations += [("onnxruntime", "fp32"), ("torch", "fp32"), ("torch", "bf16")]
    for backend, precision in combinations:
        try:
            up = Upscaler(
                model, backend=backend, precision=precision, device="cpu", consistency=False
            )
            up.upscale(picture[:16, :16])
        except MissingExtra:
            continue
        ways[f"{backend} {precision}"] = partial(up.upscale, picture)
    return ways


def _torch_reference(model: Model, picture: np.ndarray) -> Callable[[], Any] | None:
    """The network as a trainer writes it: eager, fp32, NCHW; None where it cannot be trained."""
    try:
        import torch
    except ImportError:
        return None
    from fourfold.networks.catalog import restore_network

    try:
        network = restore_network(model).eval()
    except ModelError:
        return None
    lr_nchw = torch.from_numpy(picture.transpose(2, 0, 1)[None].astype(np.float32) / 255)

    def run() -> Any:
        with torch.inference_mode():
            return network(lr_nchw)

    return run


def _matmul_ceiling(rounds: int, side: int = 2048) -> dict[str, float]:
    try:
        import torch
    except ImportError:
        a = np.ones((side, side), np.float32)
        return {"fp32": _best_gflops(partial(np.matmul, a, a), side, rounds)}
    ceiling = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        b = torch.ones(side, side, dtype=dtype)
        ceiling[name] = _best_gflops(partial(torch.matmul, b, b), side, rounds)
    return ceiling


def _best_gflops(run: Callable[[], Any], side: int, rounds: int) -> float:
    run()
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best / 1e9


__all__ = ["REFERENCE", "Rate", "Report", "measure"]
