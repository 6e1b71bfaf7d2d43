"""Picture files to arrays and back, for code that wants whole arrays of one page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import OutputError
from fourfold.files.paths import atomic_path
from fourfold.pictures.decode import whole_array
from fourfold.pictures.formats import FORMATS, format_of_suffix
from fourfold.pictures.source import open_source
from fourfold.pictures.vips import reason, vips

AnyImage = npt.NDArray[Any]


def read_pixels(path: Path) -> AnyImage:
    """A picture as it stands in the file, `(H, W)` or `(H, W, 2|3|4)`, uint8 or uint16.

    EXIF orientation is applied; palettes are expanded; nothing else is converted. `InputError`
    for a file that is missing, truncated or not a picture.
    """
    with open_source(path) as source:
        return _without_last_axis(whole_array(source))


def read_pixels_from_bytes(content: bytes, *, name: str) -> AnyImage:
    """As `read_pixels`, from an encoded picture in memory; `name` is for the error."""
    with open_source(Path(name), content) as source:
        return _without_last_axis(whole_array(source))


def _without_last_axis(pixels: AnyImage) -> AnyImage:
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def encode_pixels(pixels: AnyImage, *, ext: str, quality: int | None = None) -> bytes:
    """An encoded picture in the format of `ext` (`.png`, `.jpg`, ...)."""
    form = format_of_suffix(Path(f"x{ext}"))
    if form is None:
        raise OutputError(f"cannot encode as {ext}; want one of {', '.join(FORMATS)}")
    image = vips().Image.new_from_array(np.ascontiguousarray(pixels))
    options: dict[str, Any] = {}
    if form.quality is not None:
        options["Q"] = quality or form.quality
    if form.name == "jpg":
        options["subsample_mode"] = "off"
        if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
            image = image.flatten(background=[255.0] * (pixels.shape[2] - 1))
    try:
        content: bytes = image.write_to_buffer(form.suffixes[0], **options)
    except vips().Error as error:
        raise OutputError(f"cannot encode as {ext} ({reason(error)})") from error
    return content


def write_pixels(pixels: AnyImage, path: Path) -> None:
    """Write an array to `path` in the format of its suffix, whole or not at all."""
    with atomic_path(path) as part:
        part.write_bytes(encode_pixels(pixels, ext=path.suffix))


__all__ = [
    "encode_pixels",
    "read_pixels",
    "read_pixels_from_bytes",
    "write_pixels",
]
