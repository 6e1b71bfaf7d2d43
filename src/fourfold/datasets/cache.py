"""Pictures decoded once into one memory-mapped file, from which crops are read.

A cache is a folder named by a hash of the pictures' paths, sizes and modification times; it
appears whole, by rename, and is never changed. It may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from fourfold.datasets.pairs import Source
from fourfold.errors import DataError, InputError, OutputError
from fourfold.imaging.resize import imresize
from fourfold.pictures.eight_bit import read_rgb8

logger = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

CACHE_VERSION: Final = 1
_PIXELS, _INDEX = "pixels.bin", "index.json"


@dataclass(frozen=True, slots=True)
class _Entry:
    """Where one picture lies in the file: offset and shape of both resolutions."""

    name: str
    hr: tuple[int, int, int]
    lr: tuple[int, int, int]


@dataclass(frozen=True)
class PairSet:
    """Pairs of uint8 RGB pictures, high `(H, W, 3)` and low `(H / scale, W / scale, 3)`."""

    folder: Path
    scale: int
    entries: tuple[_Entry, ...]

    def __len__(self) -> int:
        return len(self.entries)

    @property
    def names(self) -> list[str]:
        """Names of the pictures, in order."""
        return [entry.name for entry in self.entries]

    def hr(self, index: int) -> Pixels:
        """High resolution, read-only, read from disk as it is used."""
        return self._view(self.entries[index].hr)

    def lr(self, index: int) -> Pixels:
        """Low resolution, read-only."""
        return self._view(self.entries[index].lr)

    @cached_property
    def _pixels(self) -> Pixels:
        return np.memmap(self.folder / _PIXELS, np.uint8, mode="r")

    def _view(self, place: tuple[int, int, int]) -> Pixels:
        offset, height, width = place
        return self._pixels[offset : offset + height * width * 3].reshape(height, width, 3)


def open_pairs(
    sources: Sequence[Source],
    *,
    scale: int,
    min_side: int = 1,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PairSet:
    """Decode `sources` into the cache, or find them there.

    Args:
        sources: pictures; where `lr` is None it is made with MATLAB's bicubic.
        scale: high over low resolution; pictures are cut to a multiple of it.
        min_side: smallest side a picture may have.
        cache: folder of caches; None is the user's cache folder.
        progress: called with (done, all) while decoding.

    Raises `DataError` naming the picture that is unreadable, too small or of another size than its
    partner, and `OutputError` when the cache cannot be written.
    """
    root = cache or user_cache_path("fourfold") / "pictures"
    folder = root / _key(sources, scale)
    if not (folder / _INDEX).is_file():
        _build(folder, sources, scale=scale, progress=progress)
    index = json.loads((folder / _INDEX).read_text())
    entries = tuple(_Entry(e["name"], tuple(e["hr"]), tuple(e["lr"])) for e in index["pictures"])
    small = [e for e in entries if min(e.hr[1:]) < min_side]
    if small:
        first = next(s for s in sources if s.name == small[0].name)
        raise DataError(
            f"{first.hr}: {small[0].hr[2]}x{small[0].hr[1]} pixels, want at least "
            f"{min_side}x{min_side} ({len(small)} of {len(entries)} pictures are smaller); "
            "take them out or lower data.crop"
        )
    return PairSet(folder, scale, entries)


def _key(sources: Sequence[Source], scale: int) -> str:
    digest = hashlib.sha256(f"{CACHE_VERSION} x{scale}".encode())
    for source in sources:
        for path in (source.hr, source.lr):
            if path is not None:
                status = path.stat()
                digest.update(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}\n".encode())
            digest.update(b"|")
    return digest.hexdigest()[:20]


def _build(
    folder: Path,
    sources: Sequence[Source],
    *,
    scale: int,
    progress: Callable[[int, int], None] | None,
) -> None:
    part = folder.with_name(f".{folder.name}.{secrets.token_hex(4)}.part")
    try:
        part.mkdir(parents=True)
        entries, offset = [], 0
        with (part / _PIXELS).open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
            pairs = pool.map(lambda source: _decode(source, scale), sources)
            for done, (source, (hr, lr)) in enumerate(zip(sources, pairs, strict=True), start=1):
                places = []
                for pixels in (hr, lr):
                    places.append((offset, *pixels.shape[:2]))
                    offset += file.write(np.ascontiguousarray(pixels).data)
                entries.append({"name": source.name, "hr": places[0], "lr": places[1]})
                if progress is not None:
                    progress(done, len(sources))
        (part / _INDEX).write_text(json.dumps({"scale": scale, "pictures": entries}))
        if not folder.exists():  # another process may have been faster; both are equal
            os.replace(part, folder)
        logger.info("decoded %d pictures, %.0f MB in %s", len(sources), offset / 1e6, folder)
    except OSError as error:
        if (folder / _INDEX).is_file():
            return  # lost the race for the rename
        raise OutputError(f"{folder}: cannot write the picture cache ({error})") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _decode(source: Source, scale: int) -> tuple[Pixels, Pixels]:
    hr = _read_rgb(source.hr)
    height, width = (side // scale * scale for side in hr.shape[:2])
    if not height or not width:
        raise DataError(f"{source.hr}: {hr.shape[1]}x{hr.shape[0]} pixels, smaller than the scale")
    hr = hr[:height, :width]
    if source.lr is None:
        return hr, imresize(hr, 1 / scale)
    lr = _read_rgb(source.lr)
    if lr.shape != (height // scale, width // scale, 3):
        raise DataError(
            f"{source.lr}: {lr.shape[1]}x{lr.shape[0]} pixels, want {width // scale}x"
            f"{height // scale} (1/{scale} of {source.hr.name}); is it of another scale?"
        )
    return hr, lr


def _read_rgb(path: Path) -> Pixels:
    try:
        return read_rgb8(path)
    except InputError as error:
        raise DataError(str(error)) from error


__all__ = ["PairSet", "open_pairs"]
