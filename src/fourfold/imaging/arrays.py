"""The array contract, written once: an image is float32 `(H, W, 3)`, RGB, in [0, 1].

Files and users bring other types; `to_float` and `from_float` convert at the border.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ImageContractError

Image = npt.NDArray[np.float32]
AnyImage = npt.NDArray[Any]

PEAKS: Final = {np.dtype(np.uint8): 255, np.dtype(np.uint16): 65535, np.dtype(np.float32): 1}
"""The value of white in each type a user may pass."""


def check_image(image: AnyImage, *, name: str = "image") -> None:
    """Raise `ImageContractError` unless `image` is float32 `(H, W, 3)` with at least one pixel."""
    if image.dtype != np.float32 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
        raise ImageContractError(
            f"{name}: want float32 (H, W, 3), got {image.dtype} {image.shape}; "
            "integer pictures go through `to_float` first"
        )


def check_picture(image: AnyImage, *, name: str = "image") -> None:
    """Raise `ImageContractError` unless `image` is what users may pass.

    That is `(H, W)` or `(H, W, 1|2|3|4)` of uint8, uint16 or finite float32, not empty.
    """
    if not isinstance(image, np.ndarray):
        raise ImageContractError(f"{name}: want a NumPy array, got {type(image).__name__}")
    if image.dtype not in PEAKS:
        raise ImageContractError(
            f"{name}: want uint8, uint16 or float32 in [0, 1], got {image.dtype}"
        )
    good_shape = image.ndim == 2 or (image.ndim == 3 and image.shape[2] in (1, 2, 3, 4))
    if not good_shape or not image.size:
        raise ImageContractError(f"{name}: want (H, W) or (H, W, 1|2|3|4), got {image.shape}")
    if image.dtype == np.float32:
        low, high = float(image.min()), float(image.max())
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ImageContractError(f"{name}: want finite values in [0, 1], got NaN or infinity")
        # A little beyond is what resizers leave and is clipped; this is another range.
        if low < -1 or high > 2:
            raise ImageContractError(
                f"{name}: want floats in [0, 1], got {low:g} to {high:g}; divide by the peak first"
            )


def to_float(image: AnyImage) -> Image:
    """Integer or float picture to float32 in [0, 1]; a float picture is clipped."""
    peak = PEAKS[image.dtype]
    if peak == 1:
        return np.clip(image, 0, 1)
    return image.astype(np.float32) / np.float32(peak)


def from_float(image: Image, dtype: npt.DTypeLike) -> AnyImage:
    """Float image to `dtype`, clipped and, for integers, rounded half up.

    >>> from_float(np.array([[-0.2, 0.5, 1.2]], np.float32), np.uint8)
    array([[  0, 128, 255]], dtype=uint8)
    """
    kind = np.dtype(dtype)
    peak = PEAKS[kind]
    clipped = np.clip(image, 0, 1)
    if peak == 1:
        return clipped
    rounded: AnyImage = np.floor(clipped * np.float32(peak) + np.float32(0.5)).astype(kind)
    return rounded


__all__ = [
    "PEAKS",
    "AnyImage",
    "Image",
    "check_image",
    "check_picture",
    "from_float",
    "to_float",
]
