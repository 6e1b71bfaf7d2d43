"""Picture files to arrays and back, through libvips."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import InputError, OutputError
from fourfold.io.paths import atomic_path

AnyImage = npt.NDArray[Any]

# Near-lossless to the eye at a fraction of PNG; chroma is kept at full resolution.
_QUALITY: Final = {".jpg": 95, ".jpeg": 95, ".webp": 95, ".avif": 80}


def read_pixels(path: Path) -> AnyImage:
    """A picture as it stands in the file, `(H, W)` or `(H, W, 2|3|4)`, uint8 or uint16.

    EXIF orientation is applied; palettes are expanded; nothing else is converted. `InputError`
    for a file that is missing, truncated or not a picture.
    """
    import pyvips

    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        return _pixels(pyvips.Image.new_from_file(str(path), fail_on="truncated"))
    except pyvips.Error as error:
        raise InputError(f"{path}: not a readable picture ({_reason(error)})") from error


def read_pixels_from_bytes(content: bytes, *, name: str) -> AnyImage:
    """As `read_pixels`, from an encoded picture in memory; `name` is for the error."""
    import pyvips

    try:
        return _pixels(pyvips.Image.new_from_buffer(content, "", fail_on="truncated"))
    except pyvips.Error as error:
        raise InputError(f"{name}: not a readable picture ({_reason(error)})") from error


def _pixels(image: Any) -> AnyImage:
    pixels: AnyImage = image.autorot().numpy()
    return pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels


def resize_pixels(pixels: AnyImage, *, width: int, height: int) -> AnyImage:
    """Lanczos resize to `width` by `height`; the picture itself when it has that size."""
    import pyvips

    if pixels.shape[:2] == (height, width):
        return pixels
    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    has_alpha = pixels.ndim == 3 and pixels.shape[2] in (2, 4)
    ready = image.premultiply(max_alpha=_peak(pixels)) if has_alpha else image
    resized = ready.resize(width / image.width, vscale=height / image.height, kernel="lanczos3")
    if has_alpha:
        resized = resized.unpremultiply(max_alpha=_peak(pixels))
    resized = resized.crop(0, 0, width, height).rint().cast(image.format)
    result: AnyImage = resized.numpy()
    return result.reshape(height, width, *pixels.shape[2:])


def _peak(pixels: AnyImage) -> int:
    return int(np.iinfo(pixels.dtype).max)


def encode_pixels(pixels: AnyImage, *, ext: str, quality: int | None = None) -> bytes:
    """An encoded picture in the format of `ext` (`.png`, `.jpg`, ...)."""
    import pyvips

    image = pyvips.Image.new_from_array(np.ascontiguousarray(pixels))
    options: dict[str, Any] = {}
    if ext.lower() in _QUALITY:
        options["Q"] = quality or _QUALITY[ext.lower()]
    if ext.lower() in (".jpg", ".jpeg"):
        options["subsample_mode"] = "off"
        if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
            image = image.flatten(background=[255.0] * (pixels.shape[2] - 1))
    try:
        content: bytes = image.write_to_buffer(ext, **options)
    except pyvips.Error as error:
        raise OutputError(f"cannot encode as {ext} ({_reason(error)})") from error
    return content


def write_pixels(pixels: AnyImage, path: Path) -> None:
    """Write an array to `path` in the format of its suffix, whole or not at all."""
    with atomic_path(path) as part:
        part.write_bytes(encode_pixels(pixels, ext=path.suffix))


def _reason(error: Any) -> str:
    """The last line libvips gives, which names the cause."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else "unknown reason"
