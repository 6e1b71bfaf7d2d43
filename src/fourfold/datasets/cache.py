"""Pictures decoded once into one memory-mapped file, from which crops are read.

A cache is a folder named by a hash of the pictures' paths, sizes and modification times; it
appears whole, by rename, and is never changed. It may be deleted at any time.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from platformdirs import user_cache_path

from fourfold.datasets.layouts import Source, problem_of
from fourfold.errors import DataError, InputError, OutputError
from fourfold.files.parts import part_folder
from fourfold.imaging.resize import imresize
from fourfold.pictures.eight_bit import read_rgb8

logger = logging.getLogger(__name__)

Pixels = npt.NDArray[np.uint8]

CACHE_VERSION: Final = 2
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
    skipped: tuple[str, ...] = ()
    """Why pictures were left out, each by name."""

    def __len__(self) -> int:
        return len(self.entries)

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
    skip_bad: bool = False,
    cache: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PairSet:
    """Decode `sources` into the cache, or find them there.

    Args:
        sources: pictures; where `lr` is None it is made with MATLAB's bicubic.
        scale: high over low resolution; pictures are cut to a multiple of it.
        min_side: smallest side a picture may have.
        skip_bad: leave out what cannot be used, and tell of it in `skipped`.
        cache: folder of caches; None is the user's cache folder.
        progress: called with (done, all) while decoding.

    Raises `DataError` naming the picture that is unreadable, too small or of another size than its
    partner, or when nothing is left, and `OutputError` when the cache cannot be written.
    """
    root = cache or user_cache_path("fourfold") / "pictures"
    folder = root / _key(sources, scale)
    if not (folder / _INDEX).is_file():
        good, bad = _sort_out(sources, scale)
        if bad and not skip_bad:
            raise DataError(_first_of(bad, len(sources)))
        _build(folder, good, bad, scale=scale, skip_bad=skip_bad, progress=progress)
    index = json.loads((folder / _INDEX).read_text())
    entries = tuple(_Entry(e["name"], tuple(e["hr"]), tuple(e["lr"])) for e in index["pictures"])
    large = tuple(entry for entry in entries if min(entry.hr[1:]) >= min_side)
    small = [
        f"{entry.name}: {entry.hr[2]}x{entry.hr[1]} pixels, want at least {min_side}x{min_side}"
        for entry in entries
        if min(entry.hr[1:]) < min_side
    ]
    unfit = (*index["skipped"], *small)
    if unfit and not (skip_bad and large):
        raise DataError(_first_of(unfit, len(sources)))
    return PairSet(folder, scale, large, unfit)


def _first_of(bad: Sequence[str], count: int) -> str:
    return (
        f"{bad[0]} ({len(bad)} of {count} pictures cannot be used); take them out, or leave them "
        "out with --set data.bad_pictures=skip"
    )


def _sort_out(sources: Sequence[Source], scale: int) -> tuple[list[Source], list[str]]:
    """What can be used by its headers, and what is wrong with the rest."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        problems = list(pool.map(lambda source: problem_of(source, scale=scale), sources))
    good = [s for s, problem in zip(sources, problems, strict=True) if problem is None]
    return good, [problem for problem in problems if problem is not None]


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
    bad: Sequence[str],
    *,
    scale: int,
    skip_bad: bool,
    progress: Callable[[int, int], None] | None,
) -> None:
    entries, skipped, offset = [], list(bad), 0
    try:
        with part_folder(folder) as part:
            with (part / _PIXELS).open("wb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
                pairs = pool.map(lambda source: _decode(source, scale), sources)
                for done, (source, pair) in enumerate(zip(sources, pairs, strict=True), start=1):
                    if isinstance(pair, InputError):
                        skipped.append(str(pair))
                        if not skip_bad:
                            pool.shutdown(cancel_futures=True)
                            raise DataError(_first_of(skipped, len(sources)))
                    else:
                        places = []
                        for pixels in pair:
                            places.append((offset, *pixels.shape[:2]))
                            offset += file.write(np.ascontiguousarray(pixels).data)
                        entries.append({"name": str(source.hr), "hr": places[0], "lr": places[1]})
                    if progress is not None:
                        progress(done, len(sources))
            index = {"scale": scale, "pictures": entries, "skipped": skipped}
            (part / _INDEX).write_text(json.dumps(index))
        logger.info("decoded %d pictures, %.0f MB in %s", len(sources), offset / 1e6, folder)
    except OSError as error:
        if (folder / _INDEX).is_file():
            return  # lost the race for the rename
        raise OutputError(f"{folder}: cannot write the picture cache ({error})") from error


def _decode(source: Source, scale: int) -> tuple[Pixels, Pixels] | InputError:
    """Both resolutions of a picture whose headers fit, or why its pixels cannot be read."""
    try:
        hr = read_rgb8(source.hr)
        height, width = (side // scale * scale for side in hr.shape[:2])
        hr = hr[:height, :width]
        return hr, imresize(hr, 1 / scale) if source.lr is None else read_rgb8(source.lr)
    except InputError as error:
        return error


__all__ = ["PairSet", "open_pairs"]
