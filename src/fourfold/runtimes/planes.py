"""A network as one OpenVINO program from 8-bit RGB to the planes films are encoded from.

The last convolution makes Y for each sub-pixel and the colour of each square of four of them: half
the numbers of RGB, in half of everything that comes after it, and no conversion of the large picture.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.imaging.yuv import Yuv
from fourfold.runtimes.backend import runtime_module
from fourfold.runtimes.pixel_ops import Edges, Ops, correction, missing
from fourfold.runtimes.pixels import Body, PixelBackend, Pixels, body_of, network_on, takes_pixels
from fourfold.runtimes.program import GraphProgram, Program
from fourfold.weights.graph import Conv

_WORDS: Final = {2: np.uint16, 4: np.uint32, 8: np.uint64}
"""Sub-pixels of a row that are next to each other in the result: moved at once."""


def takes_planes(program: Program) -> bool:
    """Whether `open_planes` can run a program."""
    if not takes_pixels(program):
        return False
    assert isinstance(program, GraphProgram)
    body = body_of(program.graph)
    return body is not None and isinstance(body.nodes[-1], Conv) and program.graph.scale in (4, 8)


def open_planes(
    program: GraphProgram, precision: str, *, yuv: Yuv, consistency: bool, streams: int = 1
) -> PixelBackend:
    """Compile a program that `takes_planes`; its results are `imaging.yuv.Planes.data`.

    The consistency step is done for each plane at its own size. See `runtimes.pixels.open_pixels`.
    """
    scale = program.graph.scale

    def take(result: Pixels, rows: slice, columns: slice) -> Pixels:
        low = (slice(side.start // scale, side.stop // scale) for side in (rows, columns))
        return gather_planes(result[tuple(low)], scale)

    model = _build(program, precision, yuv=yuv, consistency=consistency)
    return PixelBackend(model, precision, take=take, streams=streams)


def gather_planes(cells: Pixels, scale: int) -> Pixels:
    """`(h, w, scale^2 * 3 / 2)`, the sub-pixels of Y, Cb and Cr in each LR pixel, as three planes."""
    height, width = cells.shape[:2]
    data = np.empty((height * scale * 3 // 2, width * scale), np.uint8)
    luma, chroma = np.split(data, [height * scale])
    _spread(cells[..., : scale**2], luma, scale)
    half = scale // 2
    for i, plane in enumerate(chroma.reshape(2, height * half, width * half)):
        _spread(cells[..., scale**2 + i * half**2 :][..., : half**2], plane, half)
    return data


def _spread(cells: Pixels, plane: Pixels, side: int) -> None:
    word = _WORDS[side]
    height, width = cells.shape[:2]
    plane.view(word).reshape(height, side, width)[...] = cells.view(word).transpose(0, 2, 1)


def _build(program: GraphProgram, precision: str, *, yuv: Yuv, consistency: bool) -> Any:
    ops, openvino = Ops(precision), runtime_module("openvino")
    scale, body = program.graph.scale, body_of(program.graph)
    assert openvino is not None
    assert body is not None, "takes_planes has been asked"
    pixels = ops.op.parameter([1, -1, -1, 3], np.uint8, name="pixels")
    steps = ops.channels_first(pixels)
    counts = [scale**2, scale**2 // 4, scale**2 // 4]
    weights = (yuv.weights / 255).astype(np.float32)
    # Not a convolution, whose results bf16 would round.
    colours = ops.split(steps, 3)
    own = (ops.sum(*map(ops.times, colours, row)) for row in weights)
    base = ops.joined([ops.repeated(one, count) for one, count in zip(own, counts, strict=True)])
    residual = network_on(_in_planes(program, body, yuv), body, ops, steps)
    if not body.has_base:
        residual = ops.op.subtract(residual, base)
    inputs = [pixels]
    if consistency:
        inputs.append(ops.op.parameter([4], np.int64, name="margins"))
        edges = Edges(ops, inputs[1], steps)
        residual = ops.sum(residual, _agreed(ops, edges, steps, residual, weights, scale))
    black = np.repeat(yuv.offsets, counts)
    total = ops.sum(residual, base, ops.for_channels(black))
    result = ops.rounded(total, np.full_like(black, black[0]), np.repeat(yuv.highest, counts))
    last = ops.op.transpose(result, ops.numbers([0, 2, 3, 1]))
    return openvino.Model([ops.op.result(last)], inputs, "planes")


def _agreed(
    ops: Ops,
    edges: Edges,
    steps: Any,
    residual: Any,
    weights: npt.NDArray[np.float32],
    scale: int,
) -> Any:
    """The consistency step of each plane, at the size it has."""
    half, luma = scale // 2, scale**2
    lost = missing(ops, steps, weights, [scale, half, half])
    parts = []
    for first, last, size, begin, end in (
        (0, 1, scale, 0, luma),
        (1, 3, half, luma, luma + 2 * half**2),
    ):
        own, made = ops.channels(lost, first, last), ops.channels(residual, begin, end)
        parts.append(correction(ops, edges, own, made, last - first, size))
    return ops.joined(parts)


def _in_planes(program: GraphProgram, body: Body, yuv: Yuv) -> GraphProgram:
    """The program with a last convolution that makes Y, Cb and Cr, in steps, instead of R, G and B."""
    tail = body.nodes[-1]
    assert isinstance(tail, Conv)
    turn = _sub_pixels(yuv.weights, program.graph.scale)
    tensors = dict(program.tensors)
    for part in ("weight", "bias"):
        name = f"{tail.name}.{part}"
        if name in tensors:
            tensors[name] = np.tensordot(turn, tensors[name], 1).astype(np.float32)
    return replace(program, tensors=tensors)


def _sub_pixels(weights: npt.NDArray[np.float64], scale: int) -> npt.NDArray[np.float64]:
    """`(scale^2 * 3 / 2, 3 * scale^2)`: Y of each sub-pixel, Cb and Cr of each four, of their R, G, B."""
    every = np.eye(scale**2)
    squares = every.reshape(scale**2, scale, scale)
    fours = squares.reshape(-1, scale // 2, 2, scale // 2, 2).mean((2, 4)).reshape(scale**2, -1).T
    return np.concatenate(
        [np.kron(row, part) for row, part in zip(weights, (every, fours, fours), strict=True)]
    )


__all__ = ["gather_planes", "open_planes", "takes_planes"]
