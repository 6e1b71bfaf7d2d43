"""Pictures as scores and training see them: 8-bit RGB, and their size without decoding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fourfold.errors import InputError
from fourfold.pictures.decode import whole_array
from fourfold.pictures.formats import has_picture_suffix
from fourfold.pictures.source import open_source


def find_pictures(folder: Path) -> list[Path]:
    """Pictures in `folder` and its sub-folders, sorted; hidden and archive debris left out.

    What counts is what `read_rgb8` reads: the suffixes that `upscale` takes.
    """
    found = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        skipped = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if has_picture_suffix(path) and not skipped and path.is_file():
            found.append(path)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width from the header, orientation applied; `InputError` if unreadable."""
    with open_source(path) as source:
        return source.height, source.width


def read_rgb8(path: Path) -> npt.NDArray[np.uint8]:
    """The first page as uint8 `(H, W, 3)`, the numbers as stored (no colour profile applied).

    Grey is repeated, 16 bit is rounded to 8, alpha is dropped, CMYK and Lab become sRGB.
    `InputError` for what is unreadable or holds neither 8 nor 16 bit integers.
    """
    with open_source(path) as source:
        pixels = whole_array(source, as_rgb=True)
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: want 8 or 16 bit integers a channel, got {pixels.dtype}")
    colour = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(colour)


__all__ = ["find_pictures", "picture_size", "read_rgb8"]
