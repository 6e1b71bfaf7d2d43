"""The one seam to a runtime: arrays in, arrays out."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final, Protocol, cast

import numpy as np
import numpy.typing as npt

from fourfold.errors import BackendError, BackendOutOfMemory

Tensor4 = npt.NDArray[np.float32]
"""float32 `(N, C, H, W)`."""


class Backend(Protocol):
    """Runs one program on one device. Knows arrays, not images, files or tiles.

    Safe to call from several threads; calls may queue.
    """

    name: str
    device: str
    precision: str

    def run(self, *inputs_nchw: Tensor4) -> list[Tensor4]:
        """The program's outputs; raises `BackendOutOfMemory` when the window does not fit."""


Opener = Callable[..., Backend]
"""`open_*(program, *, device, precision) -> Backend` of each backend module."""


_OUT_OF_MEMORY: Final = (
    "out of memory",
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "not enough memory",
)


def runtime_error(
    runtime: str, error: BaseException, inputs: Sequence[npt.NDArray[Any]]
) -> BackendError:
    """Our error for a runtime's: `BackendOutOfMemory` where its text says so, else `BackendError`.

    Runtimes have no common exception type for exhausted memory.
    """
    shapes = ", ".join(str(x.shape) for x in inputs)
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(mark in text for mark in _OUT_OF_MEMORY):
        return BackendOutOfMemory(f"{runtime}: no memory for a window of {shapes}")
    return BackendError(f"{runtime} failed on {shapes}: {error}")


def runtime_module(name: str) -> Any | None:
    """Import a runtime with its telemetry shut off; None when it is not installed.

    The only door to OpenVINO and ONNX Runtime. OpenVINO reports its import to Google Analytics
    through a package of its own, from a thread that can hang at exit, and obeys no setting; it
    goes on without where that package cannot be imported. ONNX Runtime's own reports to Microsoft
    (from 1.32) are ruled by the variable, which its first import reads.
    """
    import importlib
    import importlib.util

    sys.modules.setdefault("openvino_telemetry", cast(ModuleType, None))
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    return importlib.import_module(name) if importlib.util.find_spec(name) else None
