"""A graph and its tensors as an ONNX model: what OpenVINO and ONNX Runtime run, and what we export."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from fourfold.weights.graph import (
    Add,
    Affine,
    Bilinear,
    Conv,
    Graph,
    Nearest,
    Node,
    PRelu,
    Shuffle,
    Tanh,
    Tensors,
)

OPSET: Final = 17
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


def _size(scale: int) -> list[str]:
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
        case Conv(name=name):
            weight = constant(f"{name}.weight", tensors[f"{name}.weight"])
            bias = constant(f"{name}.bias", tensors[f"{name}.bias"])
            kernel = tensors[f"{name}.weight"].shape[2]
            pads = [kernel // 2] * 4
            shape = [kernel, kernel]
            proto = make("Conv", [*inputs, weight, bias], [output], pads=pads, kernel_shape=shape)
        case PRelu(name=name):
            slope = constant(f"{name}.slope", tensors[f"{name}.slope"][:, None, None])
            proto = make("PRelu", [*inputs, slope], [output])
        case Add():
            proto = make("Add", inputs, [output])
        case Shuffle(factor=factor):
            proto = make("DepthToSpace", inputs, [output], blocksize=factor, mode="CRD")
        case Tanh():
            proto = make("Tanh", inputs, [output])
        case Bilinear(factor=factor):
            scales = constant(f"{output}.scales", np.array([1, 1, factor, factor]))
            proto = make(
                "Resize",
                [*inputs, "", scales],
                [output],
                mode="linear",
                coordinate_transformation_mode="half_pixel",
            )
        case Nearest(factor=factor):
            scales = constant(f"{output}.scales", np.array([1, 1, factor, factor]))
            proto = make(
                "Resize",
                [*inputs, "", scales],
                [output],
                mode="nearest",
                coordinate_transformation_mode="asymmetric",
                nearest_mode="floor",
            )
        case Affine(scale=gain, offset=offset):
            gain_name = constant(f"{output}.scale", np.array(gain))
            shift = constant(f"{output}.offset", np.array(offset))
            scaled = f"{output}.scaled"
            return [
                make("Mul", [*inputs, gain_name], [scaled]),
                make("Add", [scaled, shift], [output]),
            ], constants
        case _:
            raise AssertionError(f"no ONNX form of {type(node).__name__}")
    return [proto], constants
