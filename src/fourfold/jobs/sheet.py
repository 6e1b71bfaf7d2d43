"""Pages of one size through the network, once or more, and resized: from a store of pixels to another.

Stores go to scratch files when they are large, so memory does not depend on the picture's size.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.engine.tiles import Box
from fourfold.engine.upscaler import Upscaler
from fourfold.imaging.arrays import AnyImage, from_float, to_float
from fourfold.imaging.resize import Kernel, resize_by_strips
from fourfold.imaging.turns import Turn
from fourfold.jobs.size import passes
from fourfold.jobs.stages import call_until
from fourfold.pictures.decode import Decoded
from fourfold.pictures.encode import Result
from fourfold.pictures.source import Source
from fourfold.pictures.store import PixelStore

STORE_SHARE: Final = 1 / 64
"""Part of `max_memory` up to which the pixels of a picture, or of its result, stay in memory.
Three pictures are under way at once in a folder, each with two stores."""


@dataclass(slots=True, kw_only=True)
class Sheet:
    """Pages of one size on their way: nearly always all pages of the picture."""

    source: Source
    width: int
    height: int
    """Of the result's pages."""
    decoded: Decoded
    result: Result | None = None

    def close(self) -> None:
        """Free the pixels."""
        if self.result is not None:
            self.result.store.close()
        self.decoded.close()


def enlarge_sheet(
    sheet: Sheet,
    folder: Path,
    upscaler: Upscaler,
    progress: Callable[[int], None],
    stop: threading.Event | None,
) -> None:
    """Run the network over all pages, as often as `passes` says, and resize; fills `sheet.result`.

    `progress` is told how many pixels of the network's result are new.
    """
    source, wanted = sheet.source, (sheet.height, sheet.width)
    size = source.height, source.width
    sizes = passes(size, wanted, upscaler.scale)
    in_memory = int(upscaler.max_memory * STORE_SHARE)
    exact = sizes == [(size[0] * upscaler.scale, size[1] * upscaler.scale)]
    reader = _Reader(sheet.decoded, source, wide=not exact)
    pages: Callable[[int], Callable[[Box], AnyImage]] = reader.page
    used = sheet.decoded.close
    for into in sizes:
        network_size = size[0] * upscaler.scale, size[1] * upscaler.scale
        shape = (network_size[0] * source.pages, network_size[1], reader.channels)
        store = PixelStore(shape, reader.dtype, folder=folder, in_memory=in_memory)
        try:
            for page in range(source.pages):
                tiles = upscaler.tiles(pages(page), *size, reader.channels)
                for box, pixels in _until(stop, tiles):
                    store.write(page * network_size[0] + box.top, box.left, pixels)
                    progress(box.height * box.width)
            used()
            if network_size != into:
                store = _resized(store, into, source, folder, in_memory, stop)
        except BaseException:
            store.close()
            used()
            raise
        size, pages, used = into, _pages_of(store, into[0]), store.close
    sheet.result = Result(
        store=store,
        page_height=sheet.height,
        grey=reader.grey,
        value_range=sheet.decoded.value_range,
        factor=sheet.width / source.width,
    )


def _pages_of(store: PixelStore, height: int) -> Callable[[int], Callable[[Box], AnyImage]]:
    """What was enlarged once, to be enlarged again."""

    def page(number: int) -> Callable[[Box], AnyImage]:
        first = number * height
        return lambda box: store.read(first + box.top, first + box.bottom, box.left, box.right)

    return page


def _until(
    stop: threading.Event | None, tiles: Iterator[tuple[Box, AnyImage]]
) -> Iterator[tuple[Box, AnyImage]]:
    """The tiles; `InterruptedError` when `stop` is set, also in the middle of one."""
    stopped = None if stop is None else stop.is_set
    while (tile := call_until(lambda: next(tiles, None), stopped)) is not None:
        _check(stop)
        yield tile


def _check(stop: threading.Event | None) -> None:
    if stop is not None and stop.is_set():
        raise InterruptedError


class _Reader:
    """Boxes of the upright picture, as the network path wants them."""

    def __init__(self, decoded: Decoded, source: Source, *, wide: bool) -> None:
        self._decoded, self._source = decoded, source
        # A neutral picture in RGB runs as grey: no network can tint what it never sees as colour.
        self.grey = decoded.neutral and source.channels >= 3
        self.channels = source.channels - 2 if self.grey else source.channels
        stored = decoded.store.dtype
        # 16 bits until the end, where the result is rounded once more (resizing).
        self.dtype = np.dtype(np.uint16) if wide and stored == np.uint8 else stored

    def page(self, page: int) -> Callable[[Box], AnyImage]:
        """The `read` of one page."""
        source, turn = self._source, self._source.turn
        back = turn if turn.flip else Turn(-turn.quarters % 4, False)
        first = page * source.stored_height

        def read(box: Box) -> AnyImage:
            stored = box.turned(back, source.height, source.width)
            top, bottom = first + stored.top, first + stored.bottom
            pixels = self._decoded.store.read(top, bottom, stored.left, stored.right)
            if self.grey:
                pixels = pixels[..., 2:]
            return np.ascontiguousarray(turn.do(self._scaled(pixels)))

        return read

    def _scaled(self, pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self.dtype == np.uint16 and pixels.dtype == np.uint8:
            return pixels.astype(np.uint16) * np.uint16(257)
        low, high = self._decoded.value_range
        if (low, high) != (0.0, 1.0):
            return ((pixels - low) / (high - low)).astype(np.float32)
        return pixels


def _resized(
    store: PixelStore,
    out_size: tuple[int, int],
    source: Source,
    folder: Path,
    in_memory: int,
    stop: threading.Event | None,
) -> PixelStore:
    """Pages of `out_size`, strip by strip; closes `store`.

    Cubic to make them smaller, Lanczos to make them larger (docs/decisions/0052).
    """
    pages, channels, alpha = source.pages, store.shape[2], source.alpha
    size = (store.shape[0] // pages, store.shape[1])
    shape = (out_size[0] * pages, out_size[1], channels)
    kernel: Kernel = "cubic" if out_size < size else "lanczos3"
    result = PixelStore(shape, store.dtype, folder=folder, in_memory=in_memory)
    try:
        for page in range(pages):

            def read_rows(top: int, bottom: int, first: int = page * size[0]) -> AnyImage:
                rows = to_float(store.read(first + top, first + bottom, 0, size[1]))
                return _premultiplied(rows) if alpha else rows

            strips = resize_by_strips(read_rows, size=size, out_size=out_size, kernel=kernel)
            for top, strip in strips:
                _check(stop)
                straight = _straight(strip) if alpha else strip
                result.write(page * out_size[0] + top, 0, from_float(straight, store.dtype))
    except BaseException:
        result.close()
        raise
    store.close()
    return result


def _premultiplied(rows: AnyImage) -> AnyImage:
    alpha = rows[..., -1:]
    return np.concatenate([rows[..., :-1] * alpha, alpha], axis=2)


def _straight(rows: AnyImage) -> AnyImage:
    alpha = rows[..., -1:]
    colour = rows[..., :-1] / np.maximum(alpha, np.float32(1e-4))
    return np.concatenate([colour, alpha], axis=2)


__all__ = ["STORE_SHARE", "Sheet", "enlarge_sheet"]
