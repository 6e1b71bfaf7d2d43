"""MATLAB's `imresize` in NumPy: what the field's low-resolution pictures are made with.

Two conventions set it apart from other resizers, and both change scores by decibels: the kernel is
widened when shrinking (antialiasing), and pictures continue beyond their edges (symmetrically; old
releases repeated the border pixel). The published low-resolution sets were made along two paths,
named here by `Rounding`: on integers, rounded after each dimension, or on doubles, rounded once.
docs/scoring.md says which set was made how.
Source: the documented behaviour of imresize (Image Processing Toolbox).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from math import ceil
from typing import Any, Final, Literal, get_args

import numpy as np
import numpy.typing as npt

from fourfold.errors import ImageContractError

Kernel = Literal["box", "triangle", "cubic", "lanczos2", "lanczos3"]
Rounding = Literal["each", "once"]
"""Integer pictures: round after each dimension (`imresize(uint8)`), or once at the end
(`im2uint8(imresize(im2double(uint8)))`)."""
Edge = Literal["symmetric", "replicate"]
"""Beyond the border: mirrored (MATLAB today), or the border pixel repeated (its old releases)."""
Weights = npt.NDArray[np.float64]
Taps = tuple[npt.NDArray[np.intp], Weights]

_INTEGERS: Final = (np.dtype(np.uint8), np.dtype(np.uint16))
_ROWS_PER_BLOCK: Final = 16
"""Output rows per matrix product: few enough that the band fills most of the block."""
_PRODUCT_SIZE: Final = 200_000
"""Multiply-adds per matrix product: BLAS starts threads above about 260 000, which costs more than
it gains here, and on a busy machine a hundred times more."""


def _box(x: Weights) -> Weights:
    return np.where((x >= -0.5) & (x < 0.5), 1.0, 0.0)


def _triangle(x: Weights) -> Weights:
    rising: Weights = np.maximum(1 - np.abs(x), 0)
    return rising


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
    rounding: Rounding = "each",
    edge: Edge = "symmetric",
) -> npt.NDArray[Any]:
    """Resize `(H, W)` or `(H, W, C)` by `scale`, or to `size` (height, width), like MATLAB.

    With `scale` the output is `ceil(scale * H)` by `ceil(scale * W)`. uint8 and uint16 come back
    rounded (half up) and clipped, when `rounding` says; floats come back unclipped in their type.
    Raises `ImageContractError` for another shape or type, and unless exactly one of `scale` and
    `size` is given and positive.

    >>> imresize(np.array([[0, 255]], np.uint8), 2)
    array([[  0,  52, 203, 255],
           [  0,  52, 203, 255]], dtype=uint8)
    """
    _check(image, kernel=kernel, rounding=rounding, edge=edge)
    out_size, scales = _target(image.shape[:2], scale, size)
    once = rounding == "once" and np.issubdtype(image.dtype, np.integer)
    result = image.astype(np.float64) if once else image
    # MATLAB works on the dimension with the smaller scale first, rows first when equal.
    for axis in sorted((0, 1), key=lambda axis: scales[axis]):
        taps = contributions(
            image.shape[axis], out_size[axis], scales[axis], kernel, antialias, edge
        )
        result = _resize_axis(result, axis, taps)
    return np.ascontiguousarray(_to_integer(result, image.dtype) if once else result)


def _check(image: npt.NDArray[Any], *, kernel: str, rounding: str, edge: str) -> None:
    floating = np.issubdtype(image.dtype, np.floating)
    if image.ndim not in (2, 3) or not image.size or not (floating or image.dtype in _INTEGERS):
        raise ImageContractError(
            "imresize: want (H, W) or (H, W, C) of uint8, uint16 or float, "
            f"got {image.dtype} {image.shape}"
        )
    for what, value, known in (
        ("kernel", kernel, sorted(_KERNELS)),
        ("rounding", rounding, get_args(Rounding)),
        ("edge", edge, get_args(Edge)),
    ):
        if value not in known:
            raise ImageContractError(f"imresize: want {what} of {list(known)}, got {value!r}")


def _target(
    shape: tuple[int, ...], scale: float | None, size: tuple[int, int] | None
) -> tuple[tuple[int, int], tuple[float, float]]:
    """Output size and the scale of each dimension."""
    if size is not None and scale is None:
        if min(size) < 1:
            raise ImageContractError(f"imresize: want a size of at least 1x1, got {size}")
        return size, (size[0] / shape[0], size[1] / shape[1])
    if scale is None or size is not None:
        raise ImageContractError("imresize: want either a scale or a size")
    if not 0 < scale < float("inf"):
        raise ImageContractError(f"imresize: want a scale above 0, got {scale}")
    # ceil(0.25 * 512) is exact; the epsilon absorbs 1/3 * 3 and the like.
    height, width = (max(1, ceil(n * scale - 1e-9)) for n in shape)
    return (height, width), (scale, scale)


@lru_cache(maxsize=64)
def contributions(
    in_length: int,
    out_length: int,
    scale: float,
    kernel: Kernel = "cubic",
    antialias: bool = True,
    edge: Edge = "symmetric",
) -> Taps:
    """The input samples each output sample reads and their weights, both `(out_length, taps)`."""
    function, support = _KERNELS[kernel]
    stretch = min(scale, 1.0) if antialias else 1.0
    support /= stretch
    centre = (np.arange(out_length) + 0.5) / scale - 0.5  # zero-based position in the input
    first = np.floor(centre - support / 2).astype(np.intp)
    index = first[:, None] + np.arange(ceil(support) + 2)
    weights = stretch * function(stretch * (centre[:, None] - index))
    weights /= weights.sum(axis=1, keepdims=True)
    if edge == "symmetric":  # 2 1 0 | 0 1 2 ... n-1 | n-1 n-2
        index %= 2 * in_length
        index = np.minimum(index, 2 * in_length - 1 - index)
    else:
        index = np.clip(index, 0, in_length - 1)
    used = np.any(weights != 0, axis=0)
    return index[:, used], weights[:, used]


def _resize_axis(image: npt.NDArray[Any], axis: int, taps: Taps) -> npt.NDArray[Any]:
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
        band: npt.NDArray[Any] = np.zeros((rows.stop - rows.start, high - low))
        np.add.at(band, (np.arange(len(band))[:, None], index[rows] - low), weights[rows])
        band = band.astype(work_type)
        step = max(_PRODUCT_SIZE // band.size, 64)
        for left in range(0, columns.shape[1], step):
            part = columns[low:high, left : left + step].astype(work_type, copy=False)
            block = band @ part
            result[rows, left : left + step] = _to_integer(block, image.dtype) if integer else block
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


def _to_integer(values: npt.NDArray[Any], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """Round half up and clip to the range of `dtype`."""
    return np.clip(np.floor(values + 0.5), 0, np.iinfo(np.dtype(dtype)).max).astype(dtype)


__all__ = ["Edge", "Kernel", "Rounding", "contributions", "imresize", "resize_by_strips"]
