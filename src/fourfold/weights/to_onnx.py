"""A graph and its tensors as an ONNX model: what OpenVINO and ONNX Runtime run, and what we export."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fourfold.weights import graph as ops
from fourfold.weights.graph import Graph, Node, Tensors

OPSET: Final = 17
_RESIZE: Final[Mapping[str, Mapping[str, object]]] = {
    "nearest": {
        "mode": "nearest",
        "nearest_mode": "floor",
        "coordinate_transformation_mode": "asymmetric",
    },
    "linear": {"mode": "linear", "coordinate_transformation_mode": "half_pixel"},
    "cubic": {
        "mode": "cubic",
        "cubic_coeff_a": -0.75,
        "coordinate_transformation_mode": "half_pixel",
    },
}
"""Attributes of ONNX's Resize for each mode of ours."""

IR_VERSION: Final = 8  # what opset 17 was released with; every runtime of the last years reads it


def build_onnx(
    graph: Graph, tensors: Tensors, *, metadata: Mapping[str, str] | None = None
) -> onnx.ModelProto:
    """ONNX model with dynamic batch, height and width, NCHW float32.

    A whole network's ends are called `input` and `output`, as the field's files have it; parts
    keep the names of their values. `metadata` lands in `metadata_props`.
    """
    rename = {"lr": "input", "sr": "output"}
    initializers: dict[str, onnx.TensorProto] = {}
    nodes = []
    for node in graph.nodes:
        inputs = [rename.get(name, name) for name in node.inputs]
        output = rename.get(node.output, node.output)
        protos, constants = _node(node, inputs, output, tensors)
        nodes += protos
        initializers.update(constants)
    scales = graph.scales()

    def ends(names: tuple[str, ...], channels: tuple[int, ...]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(
                rename.get(name, name),
                TensorProto.FLOAT,
                ["batch", count or f"{name}.channels", *_size(scales[name])],
            )
            for name, count in zip(names, channels, strict=True)
        ]

    model = helper.make_model(
        helper.make_graph(
            nodes,
            "fourfold",
            ends(graph.inputs, graph.channels),
            ends(graph.outputs, (0,) * len(graph.outputs)),
            initializer=list(initializers.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fourfold",
    )
    helper.set_model_props(model, dict(metadata or {}))
    return model


def _size(scale: Fraction) -> list[str]:
    return ["height", "width"] if scale == 1 else [f"{scale}*height", f"{scale}*width"]


def _node(
    node: Node, inputs: list[str], output: str, tensors: Tensors
) -> tuple[list[onnx.NodeProto], dict[str, onnx.TensorProto]]:
    """The ONNX nodes of one node and the constants they read, by name."""
    constants: dict[str, onnx.TensorProto] = {}

    def constant(name: str, array: np.ndarray) -> str:
        constants[name] = numpy_helper.from_array(np.ascontiguousarray(array, np.float32), name)
        return name

    make = helper.make_node
    match node:
        case ops.Conv(name=name):
            weight = constant(f"{name}.weight", tensors[f"{name}.weight"])
            bias = constant(f"{name}.bias", tensors[f"{name}.bias"])
            kernel = tensors[f"{name}.weight"].shape[2]
            pads = [kernel // 2] * 4
            shape = [kernel, kernel]
            proto = make("Conv", [*inputs, weight, bias], [output], pads=pads, kernel_shape=shape)
        case ops.PRelu(name=name):
            slope = constant(f"{name}.slope", tensors[f"{name}.slope"][:, None, None])
            proto = make("PRelu", [*inputs, slope], [output])
        case ops.Add(gains=gains):
            return _sum(inputs, output, gains, constant), constants
        case ops.Resize(mode=mode, factor=factor):
            scales = constant(f"{output}.scales", np.array([1, 1, factor, factor], np.float32))
            proto = make("Resize", [*inputs, "", scales], [output], **_RESIZE[mode])
        case ops.Affine(scale=gain, offset=offset):
            gain_name = constant(f"{output}.scale", np.array(gain))
            shift = constant(f"{output}.offset", np.array(offset))
            scaled = f"{output}.scaled"
            return [
                make("Mul", [*inputs, gain_name], [scaled]),
                make("Add", [scaled, shift], [output]),
            ], constants
        case _:
            kind, attributes = _without_tensors(node)
            proto = make(kind, inputs, [output], **attributes)
    return [proto], constants


def _without_tensors(node: Node) -> tuple[str, Mapping[str, object]]:
    """Type and attributes of an operation that reads nothing but its inputs."""
    match node:
        case ops.LeakyRelu(slope=slope):
            return "LeakyRelu", {"alpha": slope}
        case ops.Concat():
            return "Concat", {"axis": 1}
        case ops.Shuffle(factor=factor):
            return "DepthToSpace", {"blocksize": factor, "mode": "CRD"}
        case ops.Tanh():
            return "Tanh", {}
    raise AssertionError(f"no ONNX form of {type(node).__name__}")


def _sum(
    inputs: list[str],
    output: str,
    gains: tuple[float, ...],
    constant: Callable[[str, np.ndarray], str],
) -> list[onnx.NodeProto]:
    """A chain of Add, which runtimes fuse into the convolutions before it; they do not fuse Sum."""
    nodes = []
    terms = list(inputs)
    for i, gain in enumerate(gains):
        if gain != 1:
            name = constant(f"{output}.gain{i}", np.array(gain))
            terms[i] = f"{output}.term{i}"
            nodes.append(helper.make_node("Mul", [inputs[i], name], [terms[i]]))
    total = terms[0]
    for i, term in enumerate(terms[1:], 1):
        into = output if i == len(terms) - 1 else f"{output}.sum{i}"
        nodes.append(helper.make_node("Add", [total, term], [into]))
        total = into
    return nodes
