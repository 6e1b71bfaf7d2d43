"""Aligned random crops, in an order and with choices that follow from the seed alone.

Sample number n of a run is always the same crop, whatever the number of threads, processes or
restarts: its picture comes from a permutation of the epoch, its place, turn and noise from
generators seeded with (seed, n) and, for `real`, with the number of the window it is cut from.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Literal, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from fourfold.datasets.cache import PairSet
from fourfold.datasets.degradations import degrade_real, jpeg
from fourfold.datasets.window_store import Window, WindowStore, window_of_sample

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
    reuse: int = 4


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
    _windows: WindowStore = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_windows", WindowStore(self.settings.reuse))

    def sample(self, number: int) -> tuple[Pixels, Pixels]:
        """Low and high resolution of sample `number`, each a copy."""
        settings, scale = self.settings, self.pairs.scale
        size = settings.size // scale
        rng = np.random.default_rng((self.seed, 1, number))
        if settings.degradation == "real":
            wanted = window_of_sample(number, uses=settings.reuse)
            window = self._windows.get(wanted, self._degrade)
            row, column = (int(rng.integers(a, b + 1)) for a, b in (window.rows, window.columns))
            picture, top, left = window.picture, window.top + row, window.left + column
            lr_crop = window.lr[row : row + size, column : column + size]
        else:
            picture, top, left = self._place(number, rng)
            lr_crop = self.pairs.lr(picture)[top : top + size, left : left + size]
        hr = self.pairs.hr(picture)
        hr_crop = hr[top * scale : (top + size) * scale, left * scale : (left + size) * scale]
        lr_crop, hr_crop = _orient(lr_crop, hr_crop, settings, rng)
        if settings.degradation == "jpeg" and rng.random() < settings.jpeg_probability:
            low, high = settings.jpeg_quality
            lr_crop = jpeg(lr_crop, quality=int(rng.integers(low, high + 1)))
        return np.ascontiguousarray(lr_crop), np.ascontiguousarray(hr_crop)

    def _place(self, number: int, rng: np.random.Generator) -> tuple[int, int, int]:
        """Picture `number` of all epochs, and a corner in it, in low-resolution pixels."""
        epoch, place = divmod(number, len(self.pairs))
        picture = int(shuffled(self.seed, epoch % 2**32, len(self.pairs))[place])
        size = self.settings.size // self.pairs.scale
        sides = self.pairs.lr(picture).shape[:2]
        top, left = (int(rng.integers(side - size + 1)) for side in sides)
        return picture, top, left

    def _degrade(self, number: int) -> Window:
        """Window `number`: a crop with a margin around it, as far as the picture reaches."""
        rng = np.random.default_rng((self.seed, 2, number % 2**63))
        picture, *corner = self._place(number, rng)
        hr, scale = self.pairs.hr(picture), self.pairs.scale
        size, sides = self.settings.size // scale, (hr.shape[0] // scale, hr.shape[1] // scale)
        top, left = (max(place - REAL_MARGIN, 0) for place in corner)
        bottom, right = (
            min(place + size + REAL_MARGIN, side) for place, side in zip(corner, sides, strict=True)
        )
        part = hr[top * scale : bottom * scale, left * scale : right * scale]
        return Window(
            picture=picture,
            top=top,
            left=left,
            lr=degrade_real(part, scale=scale, rng=rng),
            rows=_shifts(top, bottom, size, sides[0]),
            columns=_shifts(left, right, size, sides[1]),
        )

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


def _shifts(first: int, last: int, size: int, side: int) -> tuple[int, int]:
    """Where a crop may begin in a window `[first, last)` of a picture of `side`.

    Half of the margin stays, but where the picture ends there is none to keep.
    """
    kept = REAL_MARGIN // 2
    return (kept if first else 0, last - first - size - (kept if last < side else 0))


__all__ = ["Batch", "CropSettings", "CropStream", "batches_ahead", "shuffled"]
