"""A picture through the first convolution of a bf16 network without losing its lower bits.

bf16 holds 8 significant bits, so rounding an 8-bit picture and the first kernel to it costs more
accuracy than all later layers together. Both are therefore split into a bf16 part and a bf16
remainder, `x = hi + lo`, and the first convolution computes `hi*Whi + lo*Whi + hi*Wlo` as one
convolution over 9 channels. It costs nothing: 3 channels fill a vector register no better than 9.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fourfold.runtimes.backend import Tensor4
from fourfold.runtimes.program import GraphProgram, Program
from fourfold.weights.graph import Conv


def round_bf16(x: np.ndarray) -> np.ndarray:
    """float32 values rounded to the nearest bf16 (ties to even), kept as float32.

    >>> round_bf16(np.array([1.00390625, 0.1], np.float32)).tolist()
    [1.0, 0.10009765625]
    """
    bits = np.ascontiguousarray(x, np.float32).view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded & np.uint32(0xFFFF0000)).view(np.float32)


def split_bf16(x_nchw: Tensor4) -> Tensor4:
    """`(N, C, H, W)` to `(N, 3C, H, W)`: bf16 part, remainder, bf16 part again."""
    high = round_bf16(x_nchw)
    return np.concatenate([high, x_nchw - high, high], axis=1)


def split_input(program: Program) -> GraphProgram | None:
    """The program for split input, or None where the input feeds anything but one convolution."""
    if not isinstance(program, GraphProgram) or program.graph.channels != (3,):
        return None
    graph = program.graph
    readers = [node for node in graph.nodes if graph.inputs[0] in node.inputs]
    if len(readers) != 1 or not isinstance(readers[0], Conv):
        return None
    name = f"{readers[0].name}.weight"
    weight = program.tensors[name]
    high = round_bf16(weight)
    split = np.concatenate([high, high, weight - high], axis=1)
    tensors = {**program.tensors, name: split}
    return replace(program, graph=replace(graph, channels=(9,)), tensors=tensors)


__all__ = ["round_bf16", "split_bf16", "split_input"]
