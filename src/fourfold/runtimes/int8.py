"""Convolutions of bytes: an OpenVINO model told which of its values are rounded to 8 bits.

OpenVINO computes a convolution in int8 where a FakeQuantize stands in front of its input and of its
weights; what follows it (bias, activation, the rounding for the next one) becomes part of it.
"""

from __future__ import annotations

import platform
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from fourfold.runtimes.backend import runtime_module
from fourfold.runtimes.program import GraphProgram
from fourfold.weights.quantised import LARGEST, LEVELS, ByteConv

_FLAGS: Final = {"avx512_vnni", "avx_vnni", "amx_int8"}
"""As Linux names what multiplies bytes four at a time."""


@cache
def multiplies_bytes() -> bool:
    """Whether this CPU says it has VNNI; False where there is no way to know."""
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return False
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    flags = next((line for line in text.splitlines() if line.startswith("flags")), "")
    return not _FLAGS.isdisjoint(flags.split())


def quantise(model: Any, program: GraphProgram) -> None:
    """Give the `openvino.Model` read from a program its convolutions of bytes, in place."""
    kernels = {
        op.input_value(1).get_node().get_friendly_name(): op
        for op in model.get_ops()
        if op.get_type_name() == "Convolution"
    }
    for name, facts in program.int8.convs.items() if program.int8 else ():
        if f"{name}.weight" in program.tensors:
            _in_bytes(kernels[f"{name}.weight"], facts)


def _in_bytes(conv: Any, facts: ByteConv) -> None:
    op: Any = runtime_module("openvino.opset13")
    steps = facts.steps[None, :, None, None]
    # Ends that differ by channel in, ends in common out: each channel is divided by its step.
    low, high = np.float32(-facts.zero), np.float32(LEVELS - 1 - facts.zero)
    data = op.fake_quantize(conv.input_value(0), steps * low, steps * high, low, high, LEVELS)
    scales = facts.scales[:, None, None, None]
    ends = scales * np.float32(LARGEST)
    kernel = op.constant(facts.weight.astype(np.float32) * scales)
    weights = op.fake_quantize(kernel, -ends, ends, -ends, ends, 2 * LARGEST + 1)
    conv.input(0).replace_source_output(data.output(0))
    conv.input(1).replace_source_output(weights.output(0))
    readers = (reader.get_node() for reader in conv.output(0).get_target_inputs())
    (add,) = (node for node in readers if node.get_type_name() == "Add")
    add.input(1).replace_source_output(op.constant(facts.bias[None, :, None, None]).output(0))


__all__ = ["multiplies_bytes", "quantise"]
