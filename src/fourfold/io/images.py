"""Picture files to arrays and back, through libvips."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import InputError
from fourfold.io.paths import atomic_path

AnyImage = npt.NDArray[Any]


def read_pixels(path: Path) -> AnyImage:
    """A picture as it stands in the file, `(H, W)` or `(H, W, 2|3|4)`, uint8 or uint16.

    EXIF orientation is applied; palettes are expanded; nothing else is converted. `InputError`
    for a file that is missing, truncated or not a picture.
    """
    import pyvips

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        image = pyvips.Image.new_from_file(str(path), fail_on="truncated").autorot()
        pixels: AnyImage = image.numpy()
    except pyvips.Error as error:
        raise InputError(f"{path}: not a readable picture ({_reason(error)})") from error
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def write_pixels(pixels: AnyImage, path: Path) -> None:
    """Write an array to `path` in the format of its suffix, whole or not at all."""
    import pyvips

    with atomic_path(path) as part:
        pyvips.Image.new_from_array(np.ascontiguousarray(pixels)).write_to_file(str(part))


def _reason(error: Any) -> str:
    """The first line libvips gives, which names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown reason"
