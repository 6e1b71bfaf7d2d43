"""torch: GPUs (CUDA, MPS), and the reference the others are compared with."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from fourfold.errors import MissingExtra, UsageError
from fourfold.runtimes.backend import Program, Tensor4, optional_module, runtime_error
from fourfold.weights.graph import (
    Add,
    Affine,
    Concat,
    Conv,
    Graph,
    LeakyRelu,
    Node,
    PRelu,
    Resize,
    Shuffle,
    Tanh,
)

_MODES: Final = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
_DTYPES: Final = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


class TorchBackend:
    """The graph run operation by operation, channels last."""

    name = "torch"

    def __init__(self, program: Program, *, device: str, precision: str) -> None:
        torch = optional_module("torch")
        if torch is None:
            raise MissingExtra("--backend torch", "torch")
        if program.graph is None:
            raise UsageError("--backend torch: .onnx files run on openvino or onnxruntime only")
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError(
                "--device cuda: torch finds no CUDA device here; see `fourfold doctor`"
            )
        if device == "mps" and not torch.backends.mps.is_available():
            raise UsageError("--device mps: torch finds no Apple GPU here; see `fourfold doctor`")
        self.device, self.precision = device, precision
        self._torch, self._graph = torch, program.graph
        self._dtype = getattr(torch, _DTYPES[precision])
        self._tensors = {}
        # The picture goes through the first convolution in fp32: rounding it to bf16 or fp16 would
        # cost more accuracy than all later layers together.
        first = {
            name
            for node in program.graph.nodes
            if "lr" in node.inputs and isinstance(node, Conv)
            for name in (f"{node.name}.weight", f"{node.name}.bias")
        }
        for name in program.graph.tensor_names():
            tensor = torch.from_numpy(np.array(program.tensors[name], np.float32))
            self._tensors[name] = tensor.to(device, torch.float32 if name in first else self._dtype)

    def run(self, *inputs_nchw: Tensor4) -> list[Tensor4]:
        """See `Backend.run`."""
        torch = self._torch
        try:
            with torch.inference_mode():
                inputs = [
                    torch.from_numpy(np.ascontiguousarray(x))
                    .to(self.device)
                    .contiguous(memory_format=torch.channels_last)
                    for x in inputs_nchw
                ]
                outputs = run_graph(self._graph, self._tensors, inputs)
                return [np.ascontiguousarray(output.float().cpu().numpy()) for output in outputs]
        except (RuntimeError, MemoryError) as error:
            if self.device == "cuda":
                torch.cuda.empty_cache()
            raise runtime_error("torch", error, inputs_nchw) from error


def run_graph(graph: Graph, tensors: dict[str, Any], inputs: list[Any]) -> list[Any]:
    """Evaluate a graph with torch tensors; values are dropped after their last use.

    Inputs of each operation are brought to the type of its weights.
    """
    last_use = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    values = dict(zip(graph.inputs, inputs, strict=True))
    for i, node in enumerate(graph.nodes):
        values[node.output] = _apply(node, tensors, [values[name] for name in node.inputs])
        for name in node.inputs:
            if last_use[name] == i and name not in graph.outputs:
                values.pop(name, None)
    return [values[name] for name in graph.outputs]


def _apply(node: Node, tensors: dict[str, Any], inputs: list[Any]) -> Any:
    import torch
    import torch.nn.functional as F
    from torch import Tensor

    x: Tensor = inputs[0]
    match node:
        case Conv(name=name):
            weight = tensors[f"{name}.weight"]
            return F.conv2d(
                x.to(weight.dtype), weight, tensors[f"{name}.bias"], padding=weight.shape[2] // 2
            )
        case PRelu(name=name):
            slope = tensors[f"{name}.slope"]
            return F.prelu(x.to(slope.dtype), slope)
        case LeakyRelu(slope=leak):
            return F.leaky_relu(x, leak)
        case Add(gains=gains):
            terms = [v * g for v, g in zip(inputs, gains, strict=True)] if gains else inputs
            return sum(terms[1:], terms[0])
        case Concat():
            return torch.cat(inputs, dim=1)
        case Shuffle(factor=factor):
            return F.pixel_shuffle(x, factor)
        case Tanh():
            # The picture itself: bf16 holds 8 bits of it, so the last steps run in fp32.
            return x.float().tanh()
        case Affine(scale=scale, offset=offset):
            return x * scale + offset
        case Resize(mode=mode, factor=factor):
            kind = _MODES[mode]
            corners = None if mode == "nearest" else False
            return F.interpolate(x, scale_factor=float(factor), mode=kind, align_corners=corners)
    raise AssertionError(f"no torch form of {type(node).__name__}")


def open_torch(program: Program, *, device: str, precision: str) -> TorchBackend:
    """Put `program` on `device`."""
    return TorchBackend(program, device=device, precision=precision)
