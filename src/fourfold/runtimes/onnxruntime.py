"""ONNX Runtime: where OpenVINO does not run, and CUDA without torch."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fourfold.errors import BackendError, MissingExtra, UsageError, option
from fourfold.runtimes.backend import Tensor4, runtime_error, runtime_module
from fourfold.runtimes.program import Program, TorchProgram

_PROVIDERS: Final = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


class OnnxRuntimeBackend:
    """One session; sessions are thread-safe by themselves."""

    name = "onnxruntime"

    def __init__(self, program: Program, *, device: str, precision: str) -> None:
        runtime = runtime_module("onnxruntime")
        if runtime is None:
            raise MissingExtra(option("backend", "onnxruntime"), "onnxruntime")
        if precision != "fp32":
            raise UsageError(
                f"{option('backend', 'onnxruntime')}: want "
                f"{option('precision', 'fp32')}, got {precision}"
            )
        if isinstance(program, TorchProgram):
            raise UsageError(
                f"{option('backend', 'onnxruntime')}: torch modules "
                f"run on {option('backend', 'torch')} only"
            )
        provider = _PROVIDERS.get(device)
        if provider not in runtime.get_available_providers():
            raise UsageError(
                f"{option('backend', 'onnxruntime')} {option('device', device)}: this build offers "
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
        self._inputs = [
            (value.name, np.float16 if value.type == "tensor(float16)" else np.float32)
            for value in self._session.get_inputs()
        ]

    def run(self, *inputs_nchw: Tensor4) -> list[Tensor4]:
        """See `Backend.run`."""
        feed = {
            name: np.ascontiguousarray(x, kind)
            for (name, kind), x in zip(self._inputs, inputs_nchw, strict=True)
        }
        try:
            outputs = self._session.run(None, feed)
        except Exception as error:  # its exception classes have no public base
            raise runtime_error("ONNX Runtime", error, inputs_nchw) from error
        return [np.asarray(output, np.float32) for output in outputs]


def open_onnxruntime(program: Program, *, device: str, precision: str) -> OnnxRuntimeBackend:
    """Load `program` into ONNX Runtime."""
    return OnnxRuntimeBackend(program, device=device, precision=precision)
