"""torch: GPUs (CUDA, MPS), and the reference the others are compared with."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from fourfold.errors import MissingExtra, UsageError, option
from fourfold.runtimes.backend import Tensor4, runtime_error, runtime_module
from fourfold.runtimes.program import GraphProgram, OnnxProgram, Program, TorchProgram
from fourfold.weights import graph as ops
from fourfold.weights.graph import Graph, Node

_MODES: Final = {"nearest": "nearest", "linear": "bilinear", "cubic": "bicubic"}
_DTYPES: Final = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


_Call = Callable[[list[Any]], list[Any]]
"""torch tensors in, torch tensors out."""


class TorchBackend:
    """A graph run operation by operation, channels last, or somebody's module."""

    name = "torch"

    def __init__(self, program: Program, *, device: str, precision: str) -> None:
        torch = runtime_module("torch")
        if torch is None:
            raise MissingExtra(option("backend", "torch"), "torch")
        if isinstance(program, OnnxProgram):
            raise UsageError(
                f"{option('backend', 'torch')}: .onnx files run on openvino or onnxruntime only"
            )
        if device == "cuda" and not torch.cuda.is_available():
            raise UsageError(
                f"{option('device', 'cuda')}: torch finds no CUDA "
                "device here; see `fourfold doctor`"
            )
        if device == "mps" and not torch.backends.mps.is_available():
            raise UsageError(
                f"{option('device', 'mps')}: torch finds no Apple GPU here; see `fourfold doctor`"
            )
        self.device, self.precision = device, precision
        self._torch = torch
        dtype = getattr(torch, _DTYPES[precision])
        if isinstance(program, TorchProgram):
            self._call = _module_call(program, device, dtype)
        else:
            self._call = _graph_call(program, device, dtype)

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
                outputs = [output.float().cpu().numpy() for output in self._call(inputs)]
                return [np.ascontiguousarray(output) for output in outputs]
        except (RuntimeError, MemoryError) as error:
            if self.device == "cuda":
                torch.cuda.empty_cache()
            raise runtime_error("torch", error, inputs_nchw) from error


def _graph_call(program: GraphProgram, device: str, dtype: Any) -> _Call:
    import torch

    graph, precise = program.graph, _precise(program.graph)
    tensors = {}
    for name in graph.tensor_names():
        tensor = torch.from_numpy(np.array(program.tensors[name], np.float32))
        layer, _, part = name.rpartition(".")
        exact = layer in precise and part != "slope"  # fp32 ends with the convolution
        tensors[name] = tensor.to(device, torch.float32 if exact else dtype)
    return lambda inputs: run_graph(graph, tensors, inputs)


def _precise(graph: Graph) -> set[str]:
    """Names of the convolutions that stay in fp32, whatever the rest is computed in.

    Those that read the picture: rounding it to bf16 or fp16 would cost more accuracy than all later
    layers together. And those that make it, since bf16 holds 8 bits of it; where a tanh follows,
    the picture is only made there.
    """
    names = {n.name for n in graph.nodes if isinstance(n, ops.Conv) and "lr" in n.inputs}
    makers = {node.output: node for node in graph.nodes}
    waiting = [name for name in graph.outputs if name == "sr"]
    while waiting:
        match makers.get(waiting.pop()):
            case ops.Conv(name=name):
                names.add(name)
            case None | ops.Tanh():
                pass
            case node:
                waiting += node.inputs
    return names


def _module_call(program: TorchProgram, device: str, dtype: Any) -> _Call:
    """The module in mixed precision, its first and last layers in fp32 (see `_precise`)."""
    import copy

    import torch

    module = copy.deepcopy(program.module).eval().to(device)
    if dtype == torch.float32:
        return lambda inputs: [module(*inputs)]
    order: list[Any] = []
    layers = [m for m in module.modules() if isinstance(m, (torch.nn.Conv2d, torch.nn.Linear))]
    hooks = [m.register_forward_pre_hook(lambda m, _: order.append(m)) for m in layers]
    side = program.traits.sizes.fit(32, 32)
    with torch.inference_mode():
        module(torch.zeros(1, program.traits.channels, *side, device=device))
    for hook in hooks:
        hook.remove()
    for layer in {*order[:1], *order[-1:]}:
        layer.forward = _in_fp32(layer.forward, device)

    def call(inputs: list[Any]) -> list[Any]:
        with torch.autocast(device, dtype):
            return [module(*inputs)]

    return call


def _in_fp32(forward: Callable[[Any], Any], device: str) -> Callable[[Any], Any]:
    import torch

    def exact(x: Any) -> Any:
        with torch.autocast(device, enabled=False):
            return forward(x.float())

    return exact


def run_graph(graph: Graph, tensors: dict[str, Any], inputs: list[Any]) -> list[Any]:
    """Evaluate a graph with torch tensors; values are dropped after their last use.

    Inputs of each operation are brought to the type of its weights.
    """
    last_use = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    values = dict(zip(graph.inputs, inputs, strict=True))
    for i, node in enumerate(graph.nodes):
        values[node.output] = apply_node(node, tensors, [values[name] for name in node.inputs])
        for name in node.inputs:
            if last_use[name] == i and name not in graph.outputs:
                values.pop(name, None)
    return [values[name] for name in graph.outputs]


def apply_node(node: Node, tensors: dict[str, Any], inputs: list[Any]) -> Any:
    """One operation on torch tensors."""
    import torch
    import torch.nn.functional as F
    from torch import Tensor

    x: Tensor = inputs[0]
    match node:
        case ops.Conv(name=name):
            weight = tensors[f"{name}.weight"]
            return F.conv2d(
                x.to(weight.dtype), weight, tensors[f"{name}.bias"], padding=weight.shape[2] // 2
            )
        case ops.PRelu(name=name):
            slope = tensors[f"{name}.slope"]
            return F.prelu(x.to(slope.dtype), slope)
        case ops.LeakyRelu(slope=leak):
            return F.leaky_relu(x, leak)
        case ops.Add(gains=gains):
            terms = [v * g for v, g in zip(inputs, gains, strict=True)] if gains else inputs
            return sum(terms[1:], terms[0])
        case ops.Concat():
            return torch.cat(inputs, dim=1)
        case ops.Shuffle(factor=factor):
            return F.pixel_shuffle(x, factor)
        case ops.Tanh():
            # The picture itself: bf16 holds 8 bits of it, so the last steps run in fp32.
            return x.float().tanh()
        case ops.Affine(scale=scale, offset=offset):
            return x * scale + offset
        case ops.Resize(mode=mode, factor=factor):
            kind = _MODES[mode]
            corners = None if mode == "nearest" else False
            return F.interpolate(x, scale_factor=float(factor), mode=kind, align_corners=corners)
    raise AssertionError(f"no torch form of {type(node).__name__}")


def open_torch(program: Program, *, device: str, precision: str) -> TorchBackend:
    """Put `program` on `device`."""
    return TorchBackend(program, device=device, precision=precision)
