"""A network as one OpenVINO program from 8-bit pixels to 8-bit pixels.

Around a small network everything else takes as long as the network: bytes to floats, the consistency
step, rounding, turning channels about. Here all of it is part of the program and happens at low
resolution, before the pixel shuffle, so that behind it only bytes are moved.
"""

from __future__ import annotations

from dataclasses import replace
from queue import SimpleQueue
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.imaging.color import LUMA
from fourfold.imaging.resize import contributions
from fourfold.runtimes.backend import runtime_error, runtime_module
from fourfold.runtimes.bf16 import round_bf16
from fourfold.runtimes.openvino import compile_openvino, read_openvino
from fourfold.runtimes.program import GraphProgram, Program
from fourfold.weights.graph import Add, Conv, Graph, Node, Resize, Shuffle

Pixels = npt.NDArray[np.uint8]
Margins = tuple[int, int, int, int]
"""Rows above and below, columns left and right."""

LEAST_SIDE: Final = 8
"""Pixels each way of the least picture: the longest mirrored border, and what is looked at besides."""

_REACH: Final = 2
"""LR pixels to each side that a bicubic reads on the way down, and on the way up."""
_MANY: Final = 16
"""LR pixels of a row so long that the taps in its middle know no edge."""


class _Body(NamedTuple):
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
        and _body(program.graph) is not None
    )


def _body(graph: Graph) -> _Body | None:
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
    return _Body(tuple(nodes), bool(bases))


class PixelBackend:
    """A compiled program from `(1, h, w, colours)` to `(1, h * scale, w * scale, colours)`, uint8.

    As many calls run at once as it has streams; others queue.
    """

    def __init__(
        self,
        program: GraphProgram,
        precision: str,
        *,
        colours: int,
        consistency: bool,
        streams: int,
    ) -> None:
        compiled = compile_openvino(
            _build(program, precision, colours=colours, consistency=consistency),
            precision,
            streams=streams,
        )
        self._takes_margins = consistency
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
            return np.array(outputs[0][0, rows, columns])
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
    return PixelBackend(
        program, precision, colours=colours, consistency=consistency, streams=streams
    )


def bicubic_taps(scale: int) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """The antialiased bicubic down and the bicubic up, as kernels over whole LR pixels.

    Both `(scale, 5)`: what the sub-pixel `i` of the LR pixel two to the left up to two to the right
    weighs in an LR pixel, and what these LR pixels weigh in the sub-pixel `i` of the middle one.
    """
    down, up = (np.zeros((scale, 2 * _REACH + 1), np.float32) for _ in range(2))
    middle = _MANY // 2
    index, weights = contributions(_MANY * scale, _MANY, 1 / scale)
    for at, weight in zip(index[middle], weights[middle], strict=True):
        down[at % scale, at // scale - middle + _REACH] += weight
    index, weights = contributions(_MANY, _MANY * scale, float(scale))
    for i in range(scale):
        row = middle * scale + i
        for at, weight in zip(index[row], weights[row], strict=True):
            up[i, at - middle + _REACH] += weight
    return down, up


def _build(program: GraphProgram, precision: str, *, colours: int, consistency: bool) -> Any:
    """The `openvino.Model`; its values are LR pixels until the last step, a channel a sub-pixel."""
    ops, openvino = _Ops(precision), runtime_module("openvino")
    scale, body = program.graph.scale, _body(program.graph)
    assert openvino is not None
    assert body is not None, "takes_pixels has been asked"
    pixels = ops.op.parameter([1, -1, -1, colours], np.uint8, name="pixels")
    steps = ops.channels_first(pixels)  # 0 to 255
    residual = _network(program, body, ops, steps if colours == 3 else ops.joined([steps] * 3))
    if colours == 1:
        parts = ops.split(residual, 3)
        residual = ops.sum(*(ops.times(x, w) for x, w in zip(parts, LUMA, strict=True)))
    base = ops.repeated(ops.times(steps, 1 / 255), scale**2)
    if not body.has_base:
        residual = ops.op.subtract(residual, base)
    inputs = [pixels]
    if consistency:
        inputs.append(ops.op.parameter([4], np.int64, name="margins"))
        edges = _Edges(ops, inputs[1], steps)
        residual = ops.sum(residual, _correction(ops, edges, steps, residual, colours, scale))
    result = ops.bytes_last(ops.sum(residual, base), pixels, colours, scale)
    return openvino.Model([ops.op.result(result)], inputs, "pixels")


def _network(program: GraphProgram, body: _Body, ops: _Ops, steps: Any) -> Any:
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


def _correction(
    ops: _Ops, edges: _Edges, steps: Any, residual: Any, colours: int, scale: int
) -> Any:
    """`up(lr - down(sr))`, with `sr = residual + nearest(lr)`, for the window.

    `lr - down(nearest(lr))` is one exact convolution of the input; the rest is small numbers,
    which bf16 holds well enough.
    """
    down, up = bicubic_taps(scale)
    cells = down.sum(axis=0)
    own = -np.outer(cells, cells)
    own[_REACH, _REACH] += 1
    kernel, copies = ops.exact(_for_each(colours, (own[None, None] / 255).astype(np.float32)))
    missing = ops.conv(ops.joined([steps] * copies), kernel)
    for axis in (2, 3):
        missing = edges.cut(missing, axis)
    # Along one axis and then along the other, which is much less than both at once.
    across = edges.conv(residual, _for_each(colours * scale, down[None, :, None]), 3, scale)
    both = edges.conv(across, _for_each(colours, down[None, :, :, None]), 2, scale)
    missing = edges.spread(ops.op.subtract(missing, both))
    along = ops.conv(missing, _for_each(colours, up[:, None, :, None]), same=False)
    return ops.conv(along, _for_each(colours * scale, up[:, None, None]), same=False)


class _Edges:
    """What lies beyond the edges of the picture in a window: its mirror image, sub-pixel by sub-pixel."""

    def __init__(self, ops: _Ops, margins: Any, window: Any) -> None:
        shape = ops.op.shape_of(window)
        self._ops, self._margins = ops, margins
        self._ends: dict[int, tuple[Any, Any]] = {}
        for axis, (low, high) in {2: (0, 1), 3: (2, 3)}.items():
            side = ops.at(shape, axis)
            begin = ops.at(margins, low)
            self._ends[axis] = begin, ops.op.subtract(side, ops.at(margins, high))

    def cut(self, value: Any, axis: int, *, less: int = 0) -> Any:
        """The picture without its margins, `less` pixels from each of its ends."""
        begin, end = self._ends[axis]
        low, high = self._ops.numbers([less]), self._ops.numbers([less])
        return self._ops.slice(
            value, self._ops.op.add(begin, low), self._ops.op.subtract(end, high), axis
        )

    def spread(self, missing: Any) -> Any:
        """Mirrored to the size of the window, and by as much more as the next step takes off."""
        ops, more = self._ops, self._ops.numbers([_REACH])
        top, bottom, left, right = (ops.op.add(ops.at(self._margins, i), more) for i in range(4))
        none = ops.numbers([0, 0])
        before, after = ops.op.concat([none, top, left], 0), ops.op.concat([none, bottom, right], 0)
        return ops.op.pad(missing, before, after, "symmetric")

    def conv(self, value: Any, kernel: npt.NDArray[np.float32], axis: int, scale: int) -> Any:
        """A convolution along `axis` of what has a sub-pixel of it in each last part of channels.

        All but the outermost two results know nothing of the edge; those are made anew.
        """
        ops = self._ops
        inner = self.cut(ops.conv(value, kernel), axis, less=_REACH)
        begin, end = self._ends[axis]
        reach = ops.numbers([2 * _REACH])
        first = ops.slice(value, begin, ops.op.add(begin, reach), axis)
        last = ops.slice(value, ops.op.subtract(end, reach), end, axis)
        ends = []
        for part, at in ((first, 0), (last, _REACH)):
            near = ops.slice(part, ops.numbers([at]), ops.numbers([at + _REACH]), axis)
            beyond = self._mirrored(near, axis, scale, kernel.shape[1])
            pair = [part, beyond] if at else [beyond, part]
            ends.append(ops.conv(ops.op.concat(pair, axis), kernel, same=False))
        return ops.op.concat([ends[0], inner, ends[1]], axis)

    def _mirrored(self, near: Any, axis: int, scale: int, channels: int) -> Any:
        ops = self._ops
        turned = np.arange(channels).reshape(-1, scale)[:, ::-1].ravel()
        swapped = ops.op.gather(near, ops.numbers(turned), ops.numbers(1))
        return ops.op.gather(swapped, ops.numbers(range(_REACH)[::-1]), ops.numbers(axis))


def _for_each(groups: int, kernel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The kernel `(out, in, h, w)` for each of `groups` groups of channels, zero between them."""
    out, inner = kernel.shape[:2]
    every = np.zeros((groups, out, groups, inner, *kernel.shape[2:]), np.float32)
    every[np.arange(groups), :, np.arange(groups)] = kernel
    return every.reshape(groups * out, groups * inner, *kernel.shape[2:])


class _Ops:
    """Operations of OpenVINO by the names used here."""

    def __init__(self, precision: str) -> None:
        self.op: Any = runtime_module("openvino.opset13")
        self._precision = precision

    def exact(self, kernel: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.float32], int]:
        """A kernel that loses nothing in this precision, for so many copies of its input."""
        if self._precision != "bf16":
            return kernel, 1
        high = round_bf16(kernel)
        return np.concatenate([high, kernel - high], axis=1), 2

    def numbers(self, value: Any, kind: Any = np.int64) -> Any:
        """A constant."""
        return self.op.constant(np.asarray(value, kind))

    def channels_first(self, pixels: Any) -> Any:
        """Bytes `(1, h, w, C)` to floats `(1, C, h, w)`."""
        return self.op.transpose(self.op.convert(pixels, "f32"), self.numbers([0, 3, 1, 2]))

    def joined(self, values: list[Any]) -> Any:
        """Channels of several values, one after another."""
        return self.op.concat(values, 1) if len(values) > 1 else values[0]

    def split(self, value: Any, parts: int) -> list[Any]:
        """Channels in equal parts."""
        return list(self.op.split(value, self.numbers(1), parts).outputs())

    def repeated(self, value: Any, times: int) -> Any:
        """Each channel `times` times."""
        count = value.get_output_partial_shape(0)[1].get_length()
        return self.op.gather(value, self.numbers(np.arange(count).repeat(times)), self.numbers(1))

    def times(self, value: Any, factor: float) -> Any:
        """Each number times `factor`."""
        return self.op.multiply(value, self.numbers(factor, np.float32))

    def sum(self, *values: Any) -> Any:
        """All of them."""
        total = values[0]
        for value in values[1:]:
            total = self.op.add(total, value)
        return total

    def at(self, value: Any, index: int) -> Any:
        """One of a list of numbers, as a list."""
        return self.op.gather(value, self.numbers([index]), self.numbers(0))

    def slice(self, value: Any, begin: Any, end: Any, axis: int) -> Any:
        """From `begin` to before `end` along an axis."""
        return self.op.slice(value, begin, end, self.numbers([1]), self.numbers([axis]))

    def conv(self, value: Any, kernel: npt.NDArray[np.float32], *, same: bool = True) -> Any:
        """A convolution; with `same` it keeps height and width, zeros lying beyond."""
        pads = [side // 2 if same else 0 for side in kernel.shape[2:]]
        weights = self.numbers(kernel, np.float32)
        return self.op.convolution(value, weights, [1, 1], pads, pads, [1, 1])

    def bytes_last(self, value: Any, pixels: Any, colours: int, scale: int) -> Any:
        """Clipped, rounded half up, shuffled: `(1, C * scale^2, h, w)` to bytes `(1, H, W, C)`."""
        steps = self.sum(self.times(value, 255), self.numbers(0.5, np.float32))
        rounded = self.op.convert(self.op.floor(self.op.clamp(steps, 0.0, 255.5)), "u8")
        shape = self.op.shape_of(pixels)
        height, width = self.at(shape, 1), self.at(shape, 2)
        apart = self.op.concat([self.numbers([1, colours, scale, scale]), height, width], 0)
        cells = self.op.reshape(rounded, apart, special_zero=False)
        turned = self.op.transpose(cells, self.numbers([0, 4, 2, 5, 3, 1]))
        large = (self.op.multiply(side, self.numbers([scale])) for side in (height, width))
        whole = self.op.concat([self.numbers([1]), *large, self.numbers([colours])], 0)
        return self.op.reshape(turned, whole, special_zero=False)


__all__ = [
    "LEAST_SIDE",
    "Margins",
    "PixelBackend",
    "Pixels",
    "bicubic_taps",
    "open_pixels",
    "takes_pixels",
]
