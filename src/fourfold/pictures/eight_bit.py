"""Pictures as scores see them: 8-bit RGB, and their size without decoding."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import InputError

PICTURE_SUFFIXES: Final = frozenset(
    {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".gif"}
    | {".jp2", ".avif", ".heic", ".heif"}
)
"""What counts as a picture when a folder is searched (any case)."""


def find_pictures(folder: Path) -> list[Path]:
    """Pictures in `folder` and its sub-folders, sorted; hidden and archive debris left out."""
    found = []
    for path in folder.rglob("*"):
        parts = path.relative_to(folder).parts
        skipped = any(part.startswith(".") or part == "__MACOSX" for part in parts)
        if path.suffix.lower() in PICTURE_SUFFIXES and not skipped and path.is_file():
            found.append(path)
    return sorted(found, key=lambda path: path.relative_to(folder).as_posix())


def picture_size(path: Path) -> tuple[int, int]:
    """Height and width from the header, orientation applied; `InputError` if unreadable."""
    import pyvips

    try:
        image = _open(path).autorot()
        return int(image.height), int(image.width)
    except pyvips.Error as error:
        raise InputError(f"{path}: not a readable picture ({_last_line(error)})") from error


def read_rgb8(path: Path) -> npt.NDArray[np.uint8]:
    """The picture as uint8 `(H, W, 3)`, the numbers as stored (no colour profile applied).

    Grey is repeated, 16 bit is rounded to 8, alpha is dropped, CMYK and Lab become sRGB.
    `InputError` for what is unreadable or holds neither 8 nor 16 bit integers.
    """
    import pyvips

    try:
        image = _open(path).autorot()
        if image.interpretation in ("cmyk", "lab", "labs", "xyz", "hsv"):
            image = image.colourspace("srgb")
        pixels: npt.NDArray[Any] = image.numpy()
    except pyvips.Error as error:
        raise InputError(f"{path}: not a readable picture ({_last_line(error)})") from error
    if pixels.dtype == np.uint16:
        pixels = ((pixels.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise InputError(f"{path}: want 8 or 16 bit integers a channel, got {pixels.dtype}")
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    colour = pixels[..., :3] if pixels.shape[2] >= 3 else np.repeat(pixels[..., :1], 3, axis=2)
    return np.ascontiguousarray(colour)


def _open(path: Path) -> Any:
    import pyvips

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    # libvips caches by name; a file may have been rewritten since.
    return pyvips.Image.new_from_file(str(path), fail_on="truncated", revalidate=True)


def _last_line(error: Any) -> str:
    """The line in which libvips names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown reason"


__all__ = ["PICTURE_SUFFIXES", "find_pictures", "picture_size", "read_rgb8"]
