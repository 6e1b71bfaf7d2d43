"""What programs from bytes to bytes are made of: operations of OpenVINO, and the consistency step.

All at low resolution, where a channel is a sub-pixel of a colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.imaging.resize import contributions
from fourfold.runtimes.backend import runtime_module
from fourfold.runtimes.bf16 import round_bf16

_REACH: Final = 2
"""LR pixels to each side that a bicubic reads on the way down, and on the way up."""
_MANY: Final = 16
"""LR pixels of a row so long that the taps in its middle know no edge."""


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


def missing(ops: Ops, steps: Any, colours: npt.NDArray[np.floating], scales: Sequence[int]) -> Any:
    """`lr - down(nearest(lr))` in units of its colours, with zeros beyond the window.

    One exact convolution of a picture in steps of 255. `colours`: what each channel of the result
    is of those of `steps`; `scales`: how many times larger each is to be.
    """
    owns = [_own(scale) for scale in scales]
    kernel = np.stack(
        [weights[:, None, None] * own for weights, own in zip(colours, owns, strict=True)]
    )
    kernel, copies = ops.exact(kernel.astype(np.float32))
    return ops.conv(ops.joined([steps] * copies), kernel)


def _own(scale: int) -> npt.NDArray[np.float32]:
    cells = bicubic_taps(scale)[0].sum(axis=0)
    own = -np.outer(cells, cells)
    own[_REACH, _REACH] += 1
    return own


def correction(ops: Ops, edges: Edges, lost: Any, residual: Any, colours: int, scale: int) -> Any:
    """`up(lr - down(sr))`, with `sr = residual + nearest(lr)`, for the window.

    What `lost` (of `missing`) leaves to do is small numbers, which bf16 holds well enough.
    """
    down, up = bicubic_taps(scale)
    for axis in (2, 3):
        lost = edges.cut(lost, axis)
    # Along one axis and then along the other, which is much less than both at once.
    across = edges.conv(residual, _for_each(colours * scale, down[None, :, None]), 3, scale)
    both = edges.conv(across, _for_each(colours, down[None, :, :, None]), 2, scale)
    lost = edges.spread(ops.op.subtract(lost, both))
    along = ops.conv(lost, _for_each(colours, up[:, None, :, None]), same=False)
    return ops.conv(along, _for_each(colours * scale, up[:, None, None]), same=False)


class Edges:
    """What lies beyond the edges of the picture in a window: its mirror image, sub-pixel by sub-pixel."""

    def __init__(self, ops: Ops, margins: Any, window: Any) -> None:
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

    def spread(self, lost: Any) -> Any:
        """Mirrored to the size of the window, and by as much more as the next step takes off."""
        ops, more = self._ops, self._ops.numbers([_REACH])
        top, bottom, left, right = (ops.op.add(ops.at(self._margins, i), more) for i in range(4))
        none = ops.numbers([0, 0])
        before, after = ops.op.concat([none, top, left], 0), ops.op.concat([none, bottom, right], 0)
        return ops.op.pad(lost, before, after, "symmetric")

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


class Ops:
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

    def channels(self, value: Any, first: int, last: int) -> Any:
        """Channels from `first` to before `last`."""
        return self.slice(value, self.numbers([first]), self.numbers([last]), 1)

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

    def rounded(self, steps: Any, low: Any, high: Any) -> Any:
        """To bytes, half up, from `low` to `high`, a number for each channel."""
        kept = self.op.maximum(steps, self.for_channels(low))
        kept = self.op.minimum(kept, self.for_channels(high))
        return self.op.convert(self.op.floor(self.sum(kept, self.numbers(0.5, np.float32))), "u8")

    def for_channels(self, values: Any) -> Any:
        """A constant for each channel."""
        return self.numbers(np.reshape(values, (1, -1, 1, 1)), np.float32)

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


__all__ = ["Edges", "Ops", "bicubic_taps", "correction", "missing"]
