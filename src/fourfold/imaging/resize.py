"""MATLAB's `imresize` in NumPy: what the field's low-resolution pictures are made with.

Two conventions set it apart from other resizers, and both change scores by decibels: the kernel is
widened when shrinking (antialiasing), and pictures continue symmetrically beyond their edges.
Integer pictures are rounded and clipped after each dimension, as MATLAB does.
Source: the documented behaviour of imresize (Image Processing Toolbox) and its `contributions` step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from math import ceil
from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from fourfold.errors import ImageContractError

Kernel = Literal["box", "triangle", "cubic", "lanczos2", "lanczos3"]
Weights = npt.NDArray[np.float64]

_ROWS_PER_BLOCK: Final = 64
"""Output rows per matrix product: few enough that the band fills most of the block."""


def _box(x: Weights) -> Weights:
    return ((x >= -0.5) & (x < 0.5)).astype(np.float64)


def _triangle(x: Weights) -> Weights:
    return np.maximum(1 - np.abs(x), 0)


def _cubic(x: Weights) -> Weights:
    # Keys 1981 with a = -0.5, MATLAB's choice (OpenCV: -0.75).
    a = np.abs(x)
    inner = (1.5 * a - 2.5) * a * a + 1
    outer = ((-0.5 * a + 2.5) * a - 4) * a + 2
    return np.where(a <= 1, inner, np.where(a <= 2, outer, 0.0))


def _lanczos(lobes: int) -> Callable[[Weights], Weights]:
    def kernel(x: Weights) -> Weights:
        return np.sinc(x) * np.sinc(x / lobes) * (np.abs(x) < lobes)

    return kernel


_KERNELS: Final[Mapping[str, tuple[Callable[[Weights], Weights], float]]] = {
    "box": (_box, 1),
    "triangle": (_triangle, 2),
    "cubic": (_cubic, 4),
    "lanczos2": (_lanczos(2), 4),
    "lanczos3": (_lanczos(3), 6),
}


def imresize(
    image: npt.NDArray[Any],
    scale: float | None = None,
    *,
    size: tuple[int, int] | None = None,
    kernel: Kernel = "cubic",
    antialias: bool = True,
) -> npt.NDArray[Any]:
    """Resize `(H, W)` or `(H, W, C)` by `scale`, or to `size` (height, width), like MATLAB.

    With `scale` the output is `ceil(scale * H)` by `ceil(scale * W)`. uint8 and uint16 come back
    rounded (half up) and clipped after each dimension; floats come back unclipped in their type.
    Raises `ImageContractError` unless exactly one of `scale` and `size` is given and positive.

    >>> imresize(np.array([[0, 255]], np.uint8), 2)
    array([[  0,  52, 203, 255],
           [  0,  52, 203, 255]], dtype=uint8)
    """
    height, width = image.shape[:2]
    if (scale is None) == (size is None):
        raise ImageContractError("imresize: want either a scale or a size")
    if kernel not in _KERNELS:
        raise ImageContractError(f"imresize: want a kernel of {sorted(_KERNELS)}, got {kernel!r}")
    if size is not None:
        out_height, out_width = size
        scales = (out_height / height, out_width / width)
    else:
        assert scale is not None
        if not scale > 0:
            raise ImageContractError(f"imresize: want a scale above 0, got {scale}")
        # Exact in practice: ceil(0.25 * 512) is 128; the epsilon absorbs 1/3 * 3 and the like.
        out_height, out_width = (max(1, ceil(n * scale - 1e-9)) for n in (height, width))
        scales = (scale, scale)
    if min(out_height, out_width) < 1:
        raise ImageContractError(f"imresize: want a size of at least 1x1, got {size}")
    # MATLAB works on the dimension with the smaller scale first, rows first when equal.
    result = image
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):
        length = (out_height, out_width)[axis]
        taps = contributions(image.shape[axis], length, scales[axis], kernel, antialias)
        result = _resize_axis(result, axis, taps)
    return result


@lru_cache(maxsize=64)
def contributions(
    in_length: int, out_length: int, scale: float, kernel: Kernel = "cubic", antialias: bool = True
) -> tuple[npt.NDArray[np.intp], Weights]:
    """For each output sample, the input samples it reads and their weights, `(out_length, taps)`."""
    function, support = _KERNELS[kernel]
    stretch = min(scale, 1.0) if antialias else 1.0
    support /= stretch
    centre = (np.arange(out_length) + 0.5) / scale - 0.5  # zero-based position in the input
    first = np.floor(centre - support / 2).astype(np.intp)
    index = first[:, None] + np.arange(ceil(support) + 2)
    weights = stretch * function(stretch * (centre[:, None] - index))
    weights /= weights.sum(axis=1, keepdims=True)
    # Beyond the edge the picture continues symmetrically: 2 1 0 | 0 1 2 ... n-1 | n-1 n-2
    index %= 2 * in_length
    index = np.minimum(index, 2 * in_length - 1 - index)
    used = np.any(weights != 0, axis=0)
    return index[:, used], weights[:, used]


def _resize_axis(
    image: npt.NDArray[Any], axis: int, taps: tuple[npt.NDArray[np.intp], Weights]
) -> npt.NDArray[Any]:
    """Apply the taps along one axis, as products with small dense blocks of the banded matrix."""
    index, weights = taps
    integer = np.issubdtype(image.dtype, np.integer)
    work_type = np.float64 if integer or image.dtype == np.float64 else np.float32
    moved = np.moveaxis(image, axis, 0)
    columns = moved.reshape(moved.shape[0], -1)
    result = np.empty((len(index), columns.shape[1]), image.dtype)
    for start in range(0, len(index), _ROWS_PER_BLOCK):
        rows = slice(start, min(start + _ROWS_PER_BLOCK, len(index)))
        low, high = int(index[rows].min()), int(index[rows].max()) + 1
        band = np.zeros((rows.stop - rows.start, high - low))
        np.add.at(band, (np.arange(len(band))[:, None], index[rows] - low), weights[rows])
        block = band.astype(work_type) @ columns[low:high].astype(work_type, copy=False)
        if integer:
            peak = np.iinfo(image.dtype).max
            block = np.clip(np.floor(block + 0.5), 0, peak)
        result[rows] = block
    return np.moveaxis(result.reshape(len(index), *moved.shape[1:]), 0, axis)


def resize_by_strips(
    read_rows: Callable[[int, int], npt.NDArray[np.float32]],
    *,
    size: tuple[int, int],
    out_size: tuple[int, int],
    kernel: Kernel = "lanczos3",
    strip_pixels: int = 2_000_000,
) -> Iterator[tuple[int, npt.NDArray[np.float32]]]:
    """`imresize` of a picture too large for memory: (first row, float32 rows) of strips, in order.

    Args:
        read_rows: gives rows `[top, bottom)` of the source as `(rows, width, C)` float32.
        size, out_size: height and width of the source and of the result.
        kernel: see `imresize`.
        strip_pixels: how many pixels of the wider side a strip has, about.
    """
    (height, width), (out_height, out_width) = size, out_size
    index, weights = contributions(height, out_height, out_height / height, kernel)
    across = contributions(width, out_width, out_width / width, kernel)
    count = max(1, strip_pixels // max(width * max(1, height // out_height), out_width))
    for top in range(0, out_height, count):
        rows = slice(top, min(top + count, out_height))
        low, high = int(index[rows].min()), int(index[rows].max()) + 1
        strip = _resize_axis(read_rows(low, high), 0, (index[rows] - low, weights[rows]))
        yield top, _resize_axis(strip, 1, across)


__all__ = ["Kernel", "contributions", "imresize", "resize_by_strips"]
