"""One picture from file to file in three steps that can overlap: prepare, enlarge, finish.

Pixels wait in stores that go to scratch files beside the result when they are large, so memory
does not depend on the size of the picture.
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.engine.tiles import Box
from fourfold.engine.upscaler import Upscaler
from fourfold.errors import InputError, OutputError
from fourfold.files.parts import locked_part
from fourfold.files.paths import STDIO, Found, atomic_path
from fourfold.imaging.arrays import AnyImage, from_float, to_float
from fourfold.imaging.resize import resize_by_strips
from fourfold.imaging.turns import Turn
from fourfold.jobs.naming import OutputSettings, Target, check_pixels, plan_target
from fourfold.pictures.decode import Decoded, decode
from fourfold.pictures.encode import Result, encode
from fourfold.pictures.source import Source, open_source
from fourfold.pictures.store import PixelStore
from fourfold.pictures.tiff import join_tiffs

_STORE_SHARE: Final = 1 / 64
"""Part of `max_memory` up to which the pixels of a picture, or of its result, stay in memory.
Three pictures are under way at once in a folder, each with two stores."""

Progress = Callable[[int], None]
"""Told how many pixels of the network's result are new."""


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


@dataclass(slots=True, kw_only=True)
class Picture:
    """A picture under way. `close` removes its scratch files; call it whatever happens."""

    target: Target
    sheets: list[Sheet]
    folder: Path
    """Where scratch files go."""
    held: ExitStack

    @property
    def network_pixels(self) -> int:
        """LR pixels of all pages: the work there is."""
        sources = [sheet.source for sheet in self.sheets]
        return sum(source.width * source.height * source.pages for source in sources)

    @property
    def pages(self) -> int:
        """Of the result."""
        return sum(sheet.source.pages for sheet in self.sheets)

    def close(self) -> None:
        """Free pixels and scratch files."""
        for sheet in self.sheets:
            sheet.close()
        self.held.close()


class Finished(Exception):
    """The result of an input exists and is to be kept."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} exists")
        self.path = path


def prepare(
    found: Found,
    out: str | None,
    upscaler: Upscaler,
    settings: OutputSettings,
    *,
    single: bool,
    claim: Callable[[Path], None] | None = None,
    stop: threading.Event | None = None,
) -> Picture:
    """Read the header, decide what comes out, decode.

    `claim` is told the result's path before anything is decoded and may raise. Raises `Finished`
    when the result exists and is kept; `InputError` and `OutputError` as their parts do.
    """
    is_stdin = str(found.path) == STDIO
    content = sys.stdin.buffer.read() if is_stdin else None
    path = Path("standard input") if is_stdin else found.path
    with ExitStack() as opened:
        source = opened.enter_context(open_source(path, content))
        target = plan_target(
            source,
            found,
            out,
            network_scale=upscaler.scale,
            settings=settings,
            max_memory=upscaler.max_memory,
            single=single,
        )
        picture = Picture(target=target, sheets=[], folder=Path(), held=ExitStack())
        try:
            picture.folder = _folder(target, found, settings, claim, picture.held)
            _decode_sheets(picture, source, upscaler, settings, stop)
        except BaseException:
            picture.close()
            raise
    return picture


def _decode_sheets(
    picture: Picture,
    first: Source,
    upscaler: Upscaler,
    settings: OutputSettings,
    stop: threading.Event | None,
) -> None:
    """All pages at once where they are alike, else one after another."""
    in_memory = int(upscaler.max_memory * _STORE_SHARE)
    pixels = 0
    for number in range(first.sheets):
        with ExitStack() as opened:
            source = first
            if first.sheets > 1:
                page = open_source(first.path, first.content, page=number)
                source = opened.enter_context(page)
                pixels += check_pixels(source, settings, upscaler.scale)
                if pixels > settings.max_pixels:
                    raise InputError(f"{first.path}: its pages make more than --max-pixels")
            width, height = settings.size.of(source.width, source.height, upscaler.scale)
            decoded = decode(source, folder=picture.folder, in_memory=in_memory, stop=stop)
            picture.sheets.append(Sheet(source=source, width=width, height=height, decoded=decoded))


def _folder(
    target: Target,
    found: Found,
    settings: OutputSettings,
    claim: Callable[[Path], None] | None,
    held: ExitStack,
) -> Path:
    """Make sure the result may be written; returns the folder its scratch files go to."""
    if target.path is None:
        return Path(held.enter_context(tempfile.TemporaryDirectory(prefix="fourfold-")))
    path = target.path
    try:
        if path.exists() and found.path.exists() and path.samefile(found.path):
            raise OutputError(f"{path}: is the input itself; choose another -o or --suffix")
        if path.is_dir():
            raise OutputError(f"{path}: is a folder; choose another -o")
        if claim is not None:
            claim(path)
        if path.exists() and not settings.overwrite:
            raise Finished(path)
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror or error})") from error
    return path.parent


def enlarge(
    picture: Picture,
    upscaler: Upscaler,
    *,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
) -> None:
    """Run the network over all pages, then resize to the wanted size; fills the sheets' results."""
    for sheet in picture.sheets:
        _enlarge_sheet(sheet, picture.folder, upscaler, progress, stop)


def _enlarge_sheet(
    sheet: Sheet,
    folder: Path,
    upscaler: Upscaler,
    progress: Progress | None,
    stop: threading.Event | None,
) -> None:
    source = sheet.source
    network_size = (source.height * upscaler.scale, source.width * upscaler.scale)
    resized = network_size != (sheet.height, sheet.width)
    reader = _Reader(sheet.decoded, source, wide=resized)
    in_memory = int(upscaler.max_memory * _STORE_SHARE)
    shape = (network_size[0] * source.pages, network_size[1], reader.channels)
    store = PixelStore(shape, reader.dtype, folder=folder, in_memory=in_memory)
    try:
        for page in range(source.pages):
            read = reader.page(page)
            first = page * network_size[0]
            for box, pixels in upscaler.tiles(read, source.height, source.width, reader.channels):
                _check(stop)
                store.write(first + box.top, box.left, pixels)
                if progress is not None:
                    progress(box.height * box.width)
        sheet.decoded.close()
        if resized:
            store = _resized(store, sheet, folder, in_memory, stop)
    except BaseException:
        store.close()
        raise
    sheet.result = Result(
        store=store,
        page_height=sheet.height,
        grey=reader.grey,
        value_range=sheet.decoded.value_range,
        factor=sheet.width / source.width,
    )


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
    sheet: Sheet,
    folder: Path,
    in_memory: int,
    stop: threading.Event | None,
) -> PixelStore:
    """Lanczos to the sheet's size, strip by strip; closes `store`."""
    pages, channels, alpha = sheet.source.pages, store.shape[2], sheet.source.alpha
    size = (store.shape[0] // pages, store.shape[1])
    shape = (sheet.height * pages, sheet.width, channels)
    result = PixelStore(shape, store.dtype, folder=folder, in_memory=in_memory)
    try:
        for page in range(pages):

            def read_rows(top: int, bottom: int, first: int = page * size[0]) -> AnyImage:
                rows = to_float(store.read(first + top, first + bottom, 0, size[1]))
                return _premultiplied(rows) if alpha else rows

            out_size = (sheet.height, sheet.width)
            for top, strip in resize_by_strips(read_rows, size=size, out_size=out_size):
                _check(stop)
                straight = _straight(strip) if alpha else strip
                result.write(page * sheet.height + top, 0, from_float(straight, store.dtype))
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


def finish(
    picture: Picture, *, quality: int | None = None, stop: threading.Event | None = None
) -> tuple[str, ...]:
    """Encode and rename; returns all notes. The result is whole or absent."""
    target = picture.target
    if target.path is not None:
        with atomic_path(target.path) as part:
            return (*target.notes, *_write(picture, part, quality, stop))
    part = picture.folder / f"out{target.form.suffixes[0]}"
    notes = _write(picture, part, quality, stop)
    with part.open("rb") as file:
        while block := file.read(1 << 20):
            sys.stdout.buffer.write(block)
    sys.stdout.buffer.flush()
    return (*target.notes, *notes)


def _write(
    picture: Picture, part: Path, quality: int | None, stop: threading.Event | None
) -> tuple[str, ...]:
    """Encode into `part`; sheets of different sizes one by one, then joined."""
    form, notes = picture.target.form, dict[str, None]()
    with ExitStack() as scratch:
        pages = [part]
        if len(picture.sheets) > 1:
            parts = [locked_part(part.parent, part.suffix) for _ in picture.sheets]
            pages = [scratch.enter_context(page) for page in parts]
        for sheet, page in zip(picture.sheets, pages, strict=True):
            assert sheet.result is not None, "enlarge comes first"
            own = encode(sheet.result, sheet.source, page, form, quality=quality, stop=stop)
            notes.update(dict.fromkeys(own))
            sheet.close()
        if len(pages) > 1:
            join_tiffs(pages, part)
    return tuple(notes)


__all__ = ["Finished", "Picture", "Progress", "enlarge", "finish", "prepare"]
