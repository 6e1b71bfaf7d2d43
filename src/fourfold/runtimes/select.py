"""What `auto` means: backend, device and precision, and the reason for each."""

from __future__ import annotations

import importlib.util
import logging
import platform
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fourfold.errors import UsageError, option
from fourfold.runtimes.backend import Backend, Opener
from fourfold.runtimes.onnxruntime import open_onnxruntime
from fourfold.runtimes.openvino import cpu_precisions, open_openvino
from fourfold.runtimes.program import EVERY_BACKEND, Program
from fourfold.runtimes.torch import open_torch
from fourfold.weights.quantised import Quantised

logger = logging.getLogger(__name__)

BACKENDS: Final[Mapping[str, Opener]] = {
    "openvino": open_openvino,
    "onnxruntime": open_onnxruntime,
    "torch": open_torch,
}
DEVICES: Final = ("cpu", "cuda", "mps")
PRECISIONS: Final = ("fp32", "bf16", "fp16", "int8")


@dataclass(frozen=True, slots=True)
class Choice:
    """A backend, device and precision, and why."""

    backend: str
    device: str
    precision: str
    why: str


def choose(
    *,
    backend: str = "auto",
    device: str = "auto",
    precision: str = "auto",
    backends: Collection[str] = EVERY_BACKEND,
    int8: Quantised | None = None,
) -> Choice:
    """Resolve `auto` for this machine without importing torch.

    A GPU that torch can drive wins; else OpenVINO on the CPU, in bf16 where the CPU multiplies
    bf16 natively, and in int8 where it multiplies bytes and the model's file says that this is exact
    enough. `backends` are those that can run the model, `int8` what its file knows. Raises
    `UsageError` for names that do not exist and for a backend or a model that cannot.
    """
    check_names(backend=backend, device=device, precision=precision)
    if backend not in ("auto", *backends):
        raise UsageError(
            f"{option('backend', backend)}: this model runs on {' or '.join(backends)} only"
        )
    reasons: list[str] = []
    if device == "auto":
        usable = "torch" in backends and backend in ("auto", "torch")
        gpu = _gpu_for_torch() if usable else None
        device = gpu or "cpu"
        reasons.append(
            f"a GPU ({device}) and torch are here" if gpu else "no GPU that torch can use"
        )
    if backend == "auto":
        order = ("openvino", "torch") if device == "cpu" else ("torch", "onnxruntime")
        backend = next(name for name in order if name in backends)
        reasons.append(f"{backend} is fastest on {device}")
    if precision == "auto":
        precision = _fastest_precision(backend, device, int8)
        reasons.append(f"{precision} is the fastest precision {backend} has on this {device}")
    if precision == "int8":
        _check_int8(backend, int8)
    choice = Choice(backend, device, precision, "; ".join(reasons) or "as asked")
    logger.debug("%s on %s in %s: %s", backend, device, precision, choice.why)
    return choice


def prefers_torch(*, backend: str = "auto", device: str = "auto") -> bool:
    """Whether a torch module should run as it is: torch is asked for, or has a GPU to run it on."""
    if backend != "auto":
        return backend == "torch"
    if device == "auto":
        return _gpu_for_torch() is not None
    return device in DEVICES and device != "cpu"


def open_backend(program: Program, choice: Choice) -> Backend:
    """Open `program` as chosen."""
    return BACKENDS[choice.backend](program, device=choice.device, precision=choice.precision)


def check_names(*, backend: str, device: str, precision: str) -> None:
    """`UsageError` for names that do not exist."""
    _check(option("backend"), backend, BACKENDS)
    _check(option("device"), device, DEVICES)
    _check(option("precision"), precision, PRECISIONS)


def _check(name: str, value: str, known: Mapping[str, object] | tuple[str, ...]) -> None:
    if not isinstance(value, str) or (value != "auto" and value not in known):
        raise UsageError(f"{name}: want auto, {', '.join(known)}; got {value!r}")


def _gpu_for_torch() -> str | None:
    """`cuda` or `mps` if the machine seems to have one and torch is installed."""
    if importlib.util.find_spec("torch") is None:
        return None
    nvidia = Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi")
    if not nvidia and platform.machine() != "arm64":
        return None
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else None


def _check_int8(backend: str, int8: Quantised | None) -> None:
    if backend != "openvino":
        raise UsageError(
            f"{option('precision', 'int8')}: want {option('backend', 'openvino')}, got {backend}"
        )
    if int8 is None:
        raise UsageError(
            f"{option('precision', 'int8')}: want a model file with facts for int8, got one without; "
            "make it with `fourfold models quantize`, or take another precision"
        )


def _fastest_precision(backend: str, device: str, int8: Quantised | None) -> str:
    if backend == "openvino":
        if int8 is not None and int8.is_enough and "int8" in cpu_precisions():
            return "int8"
        return "bf16" if "bf16" in cpu_precisions() else "fp32"
    if backend == "torch" and device == "cuda":
        import torch

        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    return "fp32"
