"""What a file of tensors may ask for before anything of it is read.

A header is a few numbers that anybody can write; the memory they ask for is real.
"""

from __future__ import annotations

import stat
import struct
from pathlib import Path
from typing import Final

from fourfold.errors import ModelError

LARGEST: Final = 2 << 30
"""Bytes of the largest network that is read; those for super-resolution stay below 1 GB."""
LARGEST_HEADER: Final = 16 << 20
"""Bytes of a safetensors header: a hundred thousand tensors."""


def refuse_absurd(path: Path, *, largest: int = LARGEST, safetensors: bool = True) -> None:
    """Raise `ModelError` for what is no regular file, or larger than it can sensibly be.

    A missing file passes: opening it gives the error that names it.
    """
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path}: want a file, got a folder or a device")
        if status.st_size > largest:
            raise ModelError(
                f"{path}: {status.st_size / 1e9:.1f} GB, want at most {largest / 1e9:.1f} GB; "
                "it is damaged or not what its name says"
            )
        if not safetensors:
            return
        with path.open("rb") as file:
            start = file.read(8)
    except OSError:
        return
    length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
    if length > min(LARGEST_HEADER, status.st_size):
        raise ModelError(
            f"{path}: want a .safetensors file, got one whose header claims {length} bytes; it is "
            "damaged or not what its name says"
        )


__all__ = ["LARGEST", "refuse_absurd"]
