"""What a model file knows of running its convolutions in int8, and how near that comes to fp32.

The weights stay as they are for all other precisions. Beside them lie, for each convolution that runs
in bytes, its kernel in bytes, rounded so that the errors of all of them cancel as far as they can.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ModelError
from fourfold.weights.graph import Conv, Graph, Tensors

ENOUGH_DB: Final = 51.0
"""Against fp32, from which on `auto` takes int8: it costs a picture at most 0.05 dB there."""
LEVELS: Final = 256
"""Of an input."""
LARGEST: Final = 127
"""Of a kernel, both ways."""
PREFIX: Final = "int8."
"""Of the names of these tensors in a model file."""

Row = npt.NDArray[np.float32]
_KINDS: Final = {"weight": np.int8, "bias": np.float32, "steps": np.float32, "scales": np.float32}


@dataclass(frozen=True, slots=True)
class ByteConv:
    """One convolution of bytes with bytes: `steps` times bytes is its input, and the result
    `scales * conv(bytes, weight) + bias`."""

    zero: int
    """How many of the 256 levels of the input lie below zero, which itself is one of them."""
    steps: Row
    """`(in,)`, above 0: what one more in a byte of the input means, channel by channel."""
    weight: npt.NDArray[np.int8]
    """`(out, in, k, k)`; the steps are in it."""
    scales: Row
    """`(out,)`."""
    bias: Row
    """`(out,)`."""


@dataclass(frozen=True, slots=True)
class Quantised:
    """How a network runs in int8."""

    convs: Mapping[str, ByteConv]
    """By the name of the convolution; the others run as they do without."""
    db: float
    """PSNR against fp32, in RGB clipped to [0, 1], over all pixels of Set14's LR pictures."""

    @property
    def is_enough(self) -> bool:
        """Whether it may be taken unasked."""
        return self.db >= ENOUGH_DB


def write_quantised(quantised: Quantised) -> tuple[dict[str, npt.NDArray[Any]], str]:
    """The tensors and the text for a model file."""
    tensors = {
        f"{PREFIX}{name}.{part}": np.asarray(getattr(conv, part), kind)
        for name, conv in quantised.convs.items()
        for part, kind in _KINDS.items()
    }
    zeros = {name: conv.zero for name, conv in quantised.convs.items()}
    return tensors, json.dumps({"db": round(quantised.db, 2), "zeros": zeros}, sort_keys=True)


def read_quantised(
    stored: Mapping[str, npt.NDArray[Any]],
    text: str,
    graph: Graph,
    tensors: Tensors,
    *,
    source: str,
) -> Quantised:
    """The facts in `text` and in tensors of that prefix; `ModelError` for what does not fit.

    Args:
        stored: all tensors of the file.
        graph, tensors: the network they are for.
        source: the file, for the error.
    """
    try:
        values = json.loads(text)
        convs = {
            name: ByteConv(
                zero=int(zero), **{part: stored[f"{PREFIX}{name}.{part}"] for part in _KINDS}
            )
            for name, zero in values["zeros"].items()
        }
        quantised = Quantised(convs, float(values["db"]))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(f"{source}: unreadable facts for int8 ({error!r})") from error
    known = {n.name for n in graph.nodes if isinstance(n, Conv) and graph.inputs[0] not in n.inputs}
    wrong = [
        name
        for name, conv in convs.items()
        if name not in known or not _fits(conv, tensors[f"{name}.weight"])
    ]
    if wrong:
        raise ModelError(
            f"{source}: int8 facts of {wrong[0]} do not fit the network; quantise it again"
        )
    return quantised


def _fits(conv: ByteConv, weight: npt.NDArray[np.float32]) -> bool:
    out, inner = weight.shape[:2]
    shapes = {"weight": weight.shape, "bias": (out,), "steps": (inner,), "scales": (out,)}
    parts = {part: getattr(conv, part) for part in _KINDS}
    return (
        0 <= conv.zero < LEVELS
        and all(
            parts[p].shape == shape and parts[p].dtype == _KINDS[p] for p, shape in shapes.items()
        )
        and all(bool(np.isfinite(part).all()) for part in parts.values())
        and bool((conv.steps > 0).all() and (conv.scales > 0).all())
    )


__all__ = [
    "ENOUGH_DB",
    "LARGEST",
    "LEVELS",
    "PREFIX",
    "ByteConv",
    "Quantised",
    "read_quantised",
    "write_quantised",
]
