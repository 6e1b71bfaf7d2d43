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
    Node,
    PRelu,
    Shuffle,
    Tanh,
    Tensors,
)

OPSET: Final = 17
IR_VERSION: Final = 8  # what opset 17 was released with; every runtime of the last years reads it


def build_onnx(
    graph: Graph,
    tensors: Tensors,
    *,
    input_name: str = "input",
    output_name: str = "output",
    metadata: Mapping[str, str] | None = None,
) -> onnx.ModelProto:
    """ONNX model with dynamic batch, height and width, NCHW float32; graph input in [0, 1].

    Names follow the field's files (`input`, `output`); `metadata` lands in `metadata_props`.
    """
    rename = {graph.input: input_name, graph.output: output_name}
    initializers: dict[str, onnx.TensorProto] = {}
    nodes = []
    for node in graph.nodes:
        inputs = [rename.get(name, name) for name in node.inputs]
        output = rename.get(node.output, node.output)
        protos, constants = _node(node, inputs, output, tensors)
        nodes += protos
        initializers.update(constants)
    value = helper.make_tensor_value_info
    channels = graph.in_channels or "channels"
    scale = graph.scale
    out_dims = ["batch", "channels_out", f"{scale}*height", f"{scale}*width"]
    model = helper.make_model(
        helper.make_graph(
            nodes,
            "fourfold",
            [value(input_name, TensorProto.FLOAT, ["batch", channels, "height", "width"])],
            [value(output_name, TensorProto.FLOAT, out_dims)],
            initializer=list(initializers.values()),
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="fourfold",
    )
    helper.set_model_props(model, dict(metadata or {}))
    return model


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
        case Affine(scale=scale, offset=offset):
            factor = constant(f"{output}.scale", np.array(scale))
            shift = constant(f"{output}.offset", np.array(offset))
            scaled = f"{output}.scaled"
            return [make("Mul", [*inputs, factor], [scaled]), make("Add", [scaled, shift], [output])], constants
        case _:
            raise AssertionError(f"no ONNX form of {type(node).__name__}")
    return [proto], constants
