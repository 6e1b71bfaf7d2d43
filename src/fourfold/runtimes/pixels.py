"""A network as one OpenVINO program from 8-bit pixels to 8-bit pixels.

Around a small network everything else takes as long as the network: bytes to floats, the consistency
step, rounding, turning channels about. Here all of it is part of the program and happens at low
resolution, before the pixel shuffle, so that behind it only bytes are moved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.imaging.color import LUMA
from fourfold.runtimes.backend import runtime_error, runtime_module
from fourfold.runtimes.openvino import compile_openvino, read_openvino
from fourfold.runtimes.pixel_ops import Edges, Ops, correction, missing
from fourfold.runtimes.program import GraphProgram, Program
from fourfold.weights.graph import Add, Conv, Graph, Node, Resize, Shuffle

Pixels = npt.NDArray[np.uint8]
Margins = tuple[int, int, int, int]
"""Rows above and below, columns left and right."""

LEAST_SIDE: Final = 8
"""Pixels each way of the least picture: the longest mirrored border, and what is looked at besides."""


class Body(NamedTuple):
    """A network without its last steps: a pixel shuffle, perhaps on top of the enlarged input."""

    nodes: tuple[Node, ...]
    has_base: bool
    """Whether the nearest-neighbour enlargement of the input is added."""


def takes_pixels(program: Program) -> bool:
    """Whether `open_pixels` can run a program: one that reads its input once and ends in a shuffle."""
    return (
        isinstance(program, GraphProgram)
        and program.graph.channels == (3,)
        and program.traits.sizes.fit(1, 1) == (1, 1)
        and body_of(program.graph) is not None
    )


def body_of(graph: Graph) -> Body | None:
    """A network without its last steps; None for one that ends otherwise."""
    scale, lr = graph.scale, graph.inputs
    bases = [
        node
        for node in graph.nodes
        if isinstance(node, Resize)
        and (node.inputs, node.mode) == (lr, "nearest")
        and node.factor == scale
    ]
    nodes = [node for node in graph.nodes if node not in bases]
    if bases:
        total = nodes.pop()
        wanted = {bases[0].output, nodes[-1].output if nodes else ""}
        plain = isinstance(total, Add) and all(gain == 1 for gain in total.gains)
        if len(bases) > 1 or not plain or set(total.inputs) != wanted:
            return None
    shuffle = nodes.pop() if nodes else None
    if not isinstance(shuffle, Shuffle) or shuffle.factor != scale:
        return None
    readers = [node for node in nodes if lr[0] in node.inputs]
    if (
        len(readers) != 1
        or not isinstance(readers[0], Conv)
        or nodes[-1].output != shuffle.inputs[0]
    ):
        return None
    return Body(tuple(nodes), bool(bases))


Take = Callable[[Any, slice, slice], Pixels]
"""What is kept of the outputs of a program: rows and columns of the result."""


class PixelBackend:
    """A compiled program from `(1, h, w, colours)` in bytes to bytes.

    As many calls run at once as it has streams; others queue.
    """

    def __init__(self, model: Any, precision: str, *, take: Take, streams: int) -> None:
        compiled = compile_openvino(model, precision, streams=streams)
        self._take, self._takes_margins = take, len(compiled.inputs) > 1
        self._idle: SimpleQueue[Any] = SimpleQueue()
        for _ in range(streams):
            self._idle.put(compiled.create_infer_request())

    def run(self, pixels: Pixels, real: Margins, rows: slice, columns: slice) -> Pixels:
        """These rows and columns of the result for `(h, w, colours)`.

        Args:
            pixels: a window, of which `LEAST_SIDE` pixels each way are no margin.
            real: rows and columns on each side that are mirrored, the picture beyond its edge.
            rows, columns: of the result.

        Raises `BackendOutOfMemory` when the window does not fit.
        """
        request = self._idle.get()
        inputs = [np.ascontiguousarray(pixels[None])]
        if self._takes_margins:
            inputs.append(np.array(real, np.int64))
        try:
            outputs = request.infer(inputs, share_inputs=True, share_outputs=True)
            return self._take(outputs[0][0], rows, columns)
        except (RuntimeError, MemoryError) as error:
            raise runtime_error("OpenVINO", error, (pixels,)) from error
        finally:
            self._idle.put(request)


def open_pixels(
    program: GraphProgram, precision: str, *, colours: int, consistency: bool, streams: int = 1
) -> PixelBackend:
    """Compile a program that `takes_pixels`.

    Args:
        precision: `fp32` or `bf16`. In bf16 the picture itself stays exact: 8 bits fit into it.
        colours: 3, or 1 for grey pictures, of which the network sees three equal colours and the
            result is luma.
        consistency: with the step of `imaging.consistency` within the margins.
        streams: calls that run at once, each on its share of the cores.
    """
    model = _build(program, precision, colours=colours, consistency=consistency)
    return PixelBackend(model, precision, take=_part, streams=streams)


def _part(result: Pixels, rows: slice, columns: slice) -> Pixels:
    return np.array(result[rows, columns])


def _build(program: GraphProgram, precision: str, *, colours: int, consistency: bool) -> Any:
    """The `openvino.Model`; its values are LR pixels until the last step, a channel a sub-pixel."""
    ops, openvino = Ops(precision), runtime_module("openvino")
    scale, body = program.graph.scale, body_of(program.graph)
    assert openvino is not None
    assert body is not None, "takes_pixels has been asked"
    pixels = ops.op.parameter([1, -1, -1, colours], np.uint8, name="pixels")
    steps = ops.channels_first(pixels)  # 0 to 255
    residual = network_on(program, body, ops, steps if colours == 3 else ops.joined([steps] * 3))
    if colours == 1:
        parts = ops.split(residual, 3)
        residual = ops.sum(*(ops.times(x, w) for x, w in zip(parts, LUMA, strict=True)))
    base = ops.repeated(ops.times(steps, 1 / 255), scale**2)
    if not body.has_base:
        residual = ops.op.subtract(residual, base)
    inputs = [pixels]
    if consistency:
        inputs.append(ops.op.parameter([4], np.int64, name="margins"))
        edges = Edges(ops, inputs[1], steps)
        lost = missing(ops, steps, np.eye(colours) / 255, [scale] * colours)
        residual = ops.sum(residual, correction(ops, edges, lost, residual, colours, scale))
    result = ops.bytes_last(ops.sum(residual, base), pixels, colours, scale)
    return openvino.Model([ops.op.result(result)], inputs, "pixels")


def network_on(program: GraphProgram, body: Body, ops: Ops, steps: Any) -> Any:
    """The body of the network on a picture in steps of 255."""
    first = next(n for n in body.nodes if program.graph.inputs[0] in n.inputs)
    assert isinstance(first, Conv)
    key = f"{first.name}.weight"
    kernel, copies = ops.exact(program.tensors[key] / np.float32(255))
    graph = Graph(
        program.graph.inputs, (body.nodes[-1].output,), body.nodes, channels=(kernel.shape[1],)
    )
    tensors = {**program.tensors, key: kernel}
    model = read_openvino(replace(program, graph=graph, tensors=tensors).to_onnx())
    model.inputs[0].node.output(0).replace(ops.joined([steps] * copies).output(0))
    return model.outputs[0].node.input(0).get_source_output()


__all__ = [
    "LEAST_SIDE",
    "Body",
    "Margins",
    "PixelBackend",
    "Pixels",
    "body_of",
    "network_on",
    "open_pixels",
    "takes_pixels",
]
