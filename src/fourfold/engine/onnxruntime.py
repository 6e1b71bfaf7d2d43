"""ONNX Runtime: where OpenVINO does not run, and CUDA without torch."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fourfold.engine.backend import Program, Tensor4, looks_like_out_of_memory, optional_module
from fourfold.errors import BackendError, BackendOutOfMemory, MissingExtra, UsageError

_PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRuntimeBackend:
    """One session; sessions are thread-safe by themselves."""

    name = "onnxruntime"

    def __init__(self, program: Program, *, device: str, precision: str) -> None:
        runtime = optional_module("onnxruntime")
        if runtime is None:
            raise MissingExtra("--backend onnxruntime", "onnxruntime")
        if precision != "fp32":
            raise UsageError(f"--backend onnxruntime: want --precision fp32, got {precision}")
        provider = _PROVIDERS.get(device)
        if provider not in runtime.get_available_providers():
            raise UsageError(
                f"--backend onnxruntime --device {device}: this build offers "
                f"{', '.join(runtime.get_available_providers())}"
            )
        self.device, self.precision = device, precision
        options = runtime.SessionOptions()
        options.log_severity_level = 3
        try:
            self._session: Any = runtime.InferenceSession(
                program.to_onnx(), options, providers=[provider]
            )
        except Exception as error:  # its exception classes have no public base
            raise BackendError(f"ONNX Runtime cannot load this model: {error}") from error
        self._input = self._session.get_inputs()[0].name

    def run(self, x_nchw: Tensor4) -> Tensor4:
        """See `Backend.run`."""
        try:
            output = self._session.run(None, {self._input: np.ascontiguousarray(x_nchw)})[0]
        except Exception as error:
            if looks_like_out_of_memory(error):
                raise BackendOutOfMemory(f"no memory for a window of {x_nchw.shape}") from error
            raise BackendError(f"ONNX Runtime failed on {x_nchw.shape}: {error}") from error
        return np.asarray(output, np.float32)


def open_onnxruntime(program: Program, *, device: str, precision: str) -> OnnxRuntimeBackend:
    """Load `program` into ONNX Runtime."""
    return OnnxRuntimeBackend(program, device=device, precision=precision)
