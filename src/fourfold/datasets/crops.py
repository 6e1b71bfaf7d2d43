"""Aligned random crops, in an order and with choices that follow from the seed alone.

Sample number n of a run is always the same crop, whatever the number of threads, processes or
restarts: its picture comes from a permutation of the epoch, its place, turn and noise from a
generator seeded with (seed, n).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from fourfold.datasets.cache import PairSet
from fourfold.datasets.degradations import degrade_real, jpeg

Pixels = npt.NDArray[np.uint8]

REAL_MARGIN: Final = 8
"""Low-resolution pixels around a crop that `real` degrades with it, so that blur and JPEG blocks
at its edge see what lies beyond."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CropSettings:
    """How crops are cut; see the run's `data` settings for the meaning of each."""

    size: int
    degradation: Literal["bicubic", "jpeg", "real"] = "bicubic"
    jpeg_probability: float = 0.5
    jpeg_quality: tuple[int, int] = (50, 95)
    flips: bool = True
    turns: bool = True


class Batch(NamedTuple):
    """Crops of one step: uint8 `(N, size / scale, size / scale, 3)` and `(N, size, size, 3)`."""

    lr: Pixels
    hr: Pixels


@dataclass(frozen=True)
class CropStream:
    """Batches of crops from a set of pairs."""

    pairs: PairSet
    settings: CropSettings
    seed: int

    def sample(self, number: int) -> tuple[Pixels, Pixels]:
        """Low and high resolution of sample `number`, each a copy."""
        epoch, place = divmod(number, len(self.pairs))
        picture = int(shuffled(self.seed, epoch, len(self.pairs))[place])
        rng = np.random.default_rng((self.seed, 1, number))
        hr, lr = self.pairs.hr(picture), self.pairs.lr(picture)
        scale, settings = self.pairs.scale, self.settings
        lr_size = settings.size // scale
        top, left = (int(rng.integers(side - lr_size + 1)) for side in lr.shape[:2])
        hr_crop = hr[top * scale : (top + lr_size) * scale, left * scale : (left + lr_size) * scale]
        if settings.degradation == "real":
            lr_crop = _real_crop(hr, top, left, lr_size, scale=scale, rng=rng)
        else:
            lr_crop = lr[top : top + lr_size, left : left + lr_size]
        lr_crop, hr_crop = _orient(lr_crop, hr_crop, settings, rng)
        if settings.degradation == "jpeg" and rng.random() < settings.jpeg_probability:
            low, high = settings.jpeg_quality
            lr_crop = jpeg(lr_crop, quality=int(rng.integers(low, high + 1)))
        return np.ascontiguousarray(lr_crop), np.ascontiguousarray(hr_crop)

    def batch(self, start: int, *, size: int, rank: int = 0, processes: int = 1) -> Batch:
        """Samples `start` to `start + size`, of which this process takes each `processes`-th."""
        samples = [self.sample(n) for n in range(start + rank, start + size, processes)]
        return Batch(np.stack([lr for lr, _ in samples]), np.stack([hr for _, hr in samples]))

    def batches(
        self, start: int, *, size: int, rank: int = 0, processes: int = 1, workers: int = 2
    ) -> Generator[Batch, None, None]:
        """Endless batches from sample `start` on, cut ahead in `workers` threads."""
        return batches_ahead(
            lambda first: self.batch(first, size=size, rank=rank, processes=processes),
            start,
            size=size,
            workers=workers,
        )


B = TypeVar("B")


def batches_ahead(
    make: Callable[[int], B], start: int, *, size: int, workers: int
) -> Generator[B, None, None]:
    """`make(start)`, `make(start + size)` and so on for ever, made ahead in `workers` threads."""
    ahead: deque[Future[B]] = deque()
    with ThreadPoolExecutor(workers, thread_name_prefix="crops") as pool:
        try:
            while True:
                while len(ahead) < 2 * workers:
                    ahead.append(pool.submit(make, start))
                    start += size
                yield ahead.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


@lru_cache(maxsize=4)
def shuffled(seed: int, epoch: int, length: int) -> npt.NDArray[np.int64]:
    """The order of `length` things in an epoch."""
    return np.random.default_rng((seed, 0, epoch)).permutation(length)


def _orient(
    lr: Pixels, hr: Pixels, settings: CropSettings, rng: np.random.Generator
) -> tuple[Pixels, Pixels]:
    """The same random mirror and quarter turn for both."""
    mirror, turns = bool(rng.integers(2)), int(rng.integers(4))
    if settings.flips and mirror:
        lr, hr = lr[:, ::-1], hr[:, ::-1]
    if settings.turns and turns:
        lr, hr = np.rot90(lr, turns), np.rot90(hr, turns)
    return lr, hr


def _real_crop(
    hr: Pixels, top: int, left: int, lr_size: int, *, scale: int, rng: np.random.Generator
) -> Pixels:
    """Degrade a window with a margin around the crop, as far as the picture reaches."""
    height, width = (side // scale for side in hr.shape[:2])
    first_row, first_column = max(top - REAL_MARGIN, 0), max(left - REAL_MARGIN, 0)
    last_row = min(top + lr_size + REAL_MARGIN, height)
    last_column = min(left + lr_size + REAL_MARGIN, width)
    window = hr[first_row * scale : last_row * scale, first_column * scale : last_column * scale]
    low = degrade_real(window, scale=scale, rng=rng)
    row, column = top - first_row, left - first_column
    return low[row : row + lr_size, column : column + lr_size]


__all__ = ["Batch", "CropSettings", "CropStream", "batches_ahead", "shuffled"]
