"""Picture files to arrays and back, for code that wants whole arrays of one page."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from fourfold.errors import OutputError
from fourfold.files.paths import atomic_path
from fourfold.pictures.decode import whole_array
from fourfold.pictures.encode import SAVERS, Saving
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
        pixels = whole_array(source)
    return pixels[..., 0] if pixels.shape[2] == 1 else pixels


def write_pixels(pixels: AnyImage, path: Path) -> None:
    """Write an array to `path` in the format of its suffix, whole or not at all."""
    form = format_of_suffix(path)
    if form is None:
        raise OutputError(f"cannot encode as {path.suffix}; want one of {', '.join(FORMATS)}")
    image = vips().Image.new_from_array(np.ascontiguousarray(pixels))
    if not form.alpha and image.bands in (2, 4):
        image = image.flatten(background=[255.0] * (image.bands - 1))
    saving = Saving(quality=form.quality, exif=False, resolution=False)
    try:
        with atomic_path(path) as part:
            SAVERS[form.name](image, os.fsencode(part), saving)
    except vips().Error as error:
        raise OutputError(f"cannot encode as {path.suffix} ({reason(error)})") from error


__all__ = ["read_pixels", "write_pixels"]
