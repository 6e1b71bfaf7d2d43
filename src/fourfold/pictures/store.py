"""Pixels that may not fit in memory: a small picture is an array, a large one a scratch file.

The file is written and read by plain calls, never mapped: mapped pages count as memory of the
process, and bounded memory is what this is for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import OutputError
from fourfold.files.parts import locked_part
from fourfold.pictures.tiff import raw_tiff_header
from fourfold.pictures.vips import DTYPES, vips

Array = npt.NDArray[Any]

_FORMATS: Final = {dtype: form for form, dtype in DTYPES.items()}


class PixelStore:
    """`(height, width, channels)` pixels of one type, filled by `write`, given back by `read`.

    Args:
        shape: height, width, channels.
        dtype: uint8, uint16 or float32.
        folder: where the scratch file goes.
        in_memory: bytes up to which the pixels stay in memory.

    Use as a context manager or call `close`: the scratch file is removed then. `OutputError` when
    the disk is full or the folder cannot be written.
    """

    def __init__(
        self, shape: tuple[int, int, int], dtype: npt.DTypeLike, *, folder: Path, in_memory: int
    ) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        height, width, channels = shape
        self._row = width * channels * self.dtype.itemsize
        self._array: Array | None = None
        self._path: Path | None = None
        self._open = ExitStack()
        self._lock = threading.Lock()
        self._folder = folder
        if height * self._row <= in_memory:
            self._array = np.zeros(shape, self.dtype)
            return
        header = raw_tiff_header(shape, self.dtype)
        self._start = len(header)
        try:
            self._path = self._open.enter_context(locked_part(folder))
            self._file = self._open.enter_context(self._path.open("r+b", buffering=0))
            self._move(-self._start, memoryview(header), self._file.write)
            self._file.truncate(self._start + height * self._row)
        except OSError as error:
            self._open.close()
            raise _full(folder, error) from error

    @property
    def on_disk(self) -> bool:
        """Whether the pixels are in a scratch file."""
        return self._path is not None

    def write(self, top: int, left: int, pixels: Array) -> None:
        """Put `(h, w, channels)` pixels of the store's type at row `top`, column `left`."""
        height, width = pixels.shape[:2]
        if self._array is not None:
            self._array[top : top + height, left : left + width] = pixels
            return
        try:
            for place, row in self._rows(np.ascontiguousarray(pixels, self.dtype), top, left):
                self._move(place, row, self._file.write)
        except OSError as error:
            raise _full(self._folder, error) from error

    def read(self, top: int, bottom: int, left: int, right: int) -> Array:
        """The pixels of a rectangle, `(bottom - top, right - left, channels)`."""
        if self._array is not None:
            return self._array[top:bottom, left:right]
        result = np.empty((bottom - top, right - left, self.shape[2]), self.dtype)
        for place, row in self._rows(result, top, left):
            self._move(place, row, self._file.readinto)
        return result

    def _rows(self, pixels: Array, top: int, left: int) -> Iterator[tuple[int, memoryview]]:
        """Where each row stands, and the row; whole rows are one."""
        first = top * self._row + left * self.shape[2] * self.dtype.itemsize
        rows = pixels[None] if pixels.shape[1] == self.shape[1] else pixels
        for y, row in enumerate(rows):
            yield first + y * self._row, memoryview(row.data).cast("B")

    def _move(self, place: int, data: memoryview, move: Callable[[memoryview], int | None]) -> None:
        """Let `move`, which may stop short, read or write all of `data` at `place`."""
        with self._lock:
            self._file.seek(self._start + place)
            while data:
                count = move(data)
                if not count:
                    raise OutputError(f"{self._folder}: a scratch file in it was cut short")
                data = data[count:]

    def as_vips(self) -> Any:
        """The store as a libvips image, read row by row from the scratch file."""
        if self._array is not None:
            height, width, channels = self.shape
            form = _FORMATS[self.dtype.name]
            return vips().Image.new_from_memory(self._array.data, width, height, channels, form)
        self._file.seek(0)
        source = vips().Source.new_from_descriptor(self._file.fileno())
        return vips().Image.tiffload_source(source, access="sequential")

    def close(self) -> None:
        """Free the memory or remove the scratch file."""
        self._array = None
        self._open.close()

    def __enter__(self) -> PixelStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _full(folder: Path, error: OSError) -> OutputError:
    # A folder made for a result on standard output is nobody's; where it stands is the full disk.
    folder = folder.parent if folder.name.startswith("fourfold-") else folder
    return OutputError(f"{folder}: cannot write scratch pixels ({error.strerror or error})")


__all__ = ["PixelStore"]
