"""OpenVINO: the default on CPUs."""

from __future__ import annotations

import logging
import os
import threading
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from fourfold.errors import BackendError, UsageError, option
from fourfold.runtimes.backend import Tensor4, runtime_error, runtime_module
from fourfold.runtimes.bf16 import split_bf16, split_input
from fourfold.runtimes.int8 import multiplies_bytes, quantise
from fourfold.runtimes.program import GraphProgram, OnnxProgram, Program, TorchProgram

logger = logging.getLogger(__name__)

_HINTS: Final = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


def other_precision(precision: str) -> str:
    """What is computed in where not in int8: itself, or with int8 the fastest of the others."""
    if precision != "int8":
        return precision
    return "bf16" if "bf16" in cpu_precisions() else "fp32"


@cache
def _core() -> Any:
    openvino = runtime_module("openvino")
    if openvino is None:
        raise BackendError(
            f"OpenVINO is not installed; want it, or {option('backend', 'onnxruntime')} or torch"
        )
    return openvino.Core()


def cpu_precisions() -> tuple[str, ...]:
    """Precisions this CPU computes natively, of fp32, bf16, fp16 and int8.

    OpenVINO counts int8 among the capabilities of every CPU, also where it is slower than fp32.
    """
    found = set(_core().get_property("CPU", "OPTIMIZATION_CAPABILITIES"))
    names = {"FP32": "fp32", "BF16": "bf16", "FP16": "fp16"}
    if multiplies_bytes():
        names["INT8"] = "int8"
    return tuple(ours for theirs, ours in names.items() if theirs in found)


def limit_threads(count: int) -> None:
    """Let networks compiled from now on in this process use `count` threads."""
    if runtime_module("openvino") is not None:
        _core().set_property("CPU", {"INFERENCE_NUM_THREADS": count})


def cpu_threads() -> int:
    """Threads networks may use: as many as cores this process has, unless limited."""
    limit = int(_core().get_property("CPU", "INFERENCE_NUM_THREADS"))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(limit or 1024, cores or 1)


def cpu_name() -> str:
    """What the CPU calls itself."""
    return str(_core().get_property("CPU", "FULL_DEVICE_NAME"))


def cache_dir() -> Path:
    """Where compiled networks are kept: `$FOURFOLD_CACHE_DIR` or the user's cache folder."""
    import platformdirs

    root = os.environ.get("FOURFOLD_CACHE_DIR") or platformdirs.user_cache_dir("fourfold")
    return Path(root) / "openvino"


def output_shape(content: bytes, input_shape: tuple[int, ...]) -> tuple[int, ...]:
    """Shape an ONNX file gives for one input, without running it.

    `BackendError` where the file does not take that shape.
    """
    try:
        model = _core().read_model(content, b"")
        model.reshape(list(input_shape))
        return tuple(model.output(0).shape)
    except RuntimeError as error:
        raise BackendError(f"OpenVINO cannot work out {input_shape}: {error}") from error


class OpenVinoBackend:
    """One compiled network. Calls from several threads queue, so memory stays that of one window."""

    name = "openvino"

    def __init__(self, program: Program, *, device: str, precision: str) -> None:
        if device != "cpu":
            raise UsageError(
                f"{option('backend', 'openvino')}: want {option('device', 'cpu')}, "
                f"got {device}; try {option('backend', 'torch')}"
            )
        if precision not in cpu_precisions():
            raise UsageError(
                f"{option('precision', precision)}: this CPU offers "
                f"{', '.join(cpu_precisions())} in OpenVINO"
            )
        self.device, self.precision = device, precision
        self._lock = threading.Lock()
        split = split_input(program) if other_precision(precision) == "bf16" else None
        self._splits_input = split is not None
        if isinstance(program, TorchProgram):
            raise UsageError(
                f"{option('backend', 'openvino')}: torch modules "
                f"run on {option('backend', 'torch')} only"
            )
        model = read_program(split or program, precision)
        compiled = compile_openvino(model, precision)
        self._types = [value.element_type.to_dtype() for value in compiled.inputs]
        self._request = compiled.create_infer_request()

    def run(self, *inputs_nchw: Tensor4) -> list[Tensor4]:
        """See `Backend.run`."""
        inputs = [split_bf16(x) for x in inputs_nchw] if self._splits_input else list(inputs_nchw)
        inputs = [
            np.ascontiguousarray(x, kind) for x, kind in zip(inputs, self._types, strict=True)
        ]
        with self._lock:
            try:
                outputs = self._request.infer(inputs, share_inputs=True, share_outputs=True)
                return [np.array(output, np.float32) for output in outputs.values()]
            except (RuntimeError, MemoryError) as error:
                raise runtime_error("OpenVINO", error, inputs_nchw) from error


def read_program(program: GraphProgram | OnnxProgram, precision: str) -> Any:
    """A program as `openvino.Model`, some of its convolutions in int8 where that is asked for."""
    if precision != "int8":
        return read_openvino(program.to_onnx())
    assert isinstance(program, GraphProgram), "`choose` takes int8 for these only"
    model = read_openvino(program.to_onnx())
    quantise(model, program)
    return model


def read_openvino(content: bytes) -> Any:
    """An ONNX file as `openvino.Model`."""
    try:
        return _core().read_model(content, b"")
    except RuntimeError as error:
        raise BackendError(f"OpenVINO cannot read this model: {error}") from error


def compile_openvino(model: Any, precision: str, *, streams: int = 1) -> Any:
    """An `openvino.Model` compiled for this CPU; `streams` requests run at once."""
    options = {
        "INFERENCE_PRECISION_HINT": _HINTS[other_precision(precision)],
        "PERFORMANCE_HINT": "LATENCY",
    }
    if streams > 1:
        options |= {"PERFORMANCE_HINT": "THROUGHPUT", "NUM_STREAMS": str(streams)}
    folder = cache_dir()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            options["CACHE_DIR"] = str(folder)
    except OSError as error:
        logger.info("no cache of compiled networks: %s", error)
    try:
        return _core().compile_model(model, "CPU", options)
    except RuntimeError as error:
        raise BackendError(f"OpenVINO cannot compile this model: {error}") from error


def open_openvino(program: Program, *, device: str, precision: str) -> OpenVinoBackend:
    """Compile `program` for this CPU."""
    return OpenVinoBackend(program, device=device, precision=precision)
