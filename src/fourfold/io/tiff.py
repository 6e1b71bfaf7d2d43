"""Several TIFF files as the pages of one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from fourfold.errors import OutputError

_BLOCK: Final = 1 << 20


def join_tiffs(pages: Iterable[Path], target: Path) -> None:
    """Write the pictures of `pages` to `target`, which is replaced; pixels are not touched.

    Only TIFF keeps pages of different sizes, and libvips writes equal ones only.
    """
    from PIL.TiffImagePlugin import AppendingTiffWriter

    try:
        with AppendingTiffWriter(str(target), new=True) as writer:
            for page in pages:
                with page.open("rb") as file:
                    while block := file.read(_BLOCK):
                        writer.write(block)
                writer.newFrame()
    except RuntimeError as error:
        raise OutputError(f"cannot join the pages as TIFF ({error})") from error


__all__ = ["join_tiffs"]
