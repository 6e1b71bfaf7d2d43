"""Lessons: what a teacher made of low-resolution crops, kept on disk and cut into batches.

A cache is a folder named by a hash of all that its lessons follow from. It holds files of a few
lessons each, written whole or not at all, so that making them goes on where it was interrupted; the
checksum at the end of each file is compared when a run opens the cache.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.datasets import PairSet
from fourfold.datasets.crops import batches_ahead, shuffled
from fourfold.errors import DataError, OutputError
from fourfold.files.paths import atomic_path

Pixels = npt.NDArray[np.uint8]

PER_FILE: Final = 8
_CHECKSUM: Final = 4  # bytes of CRC-32
_VERSION: Final = 1


class Lesson(NamedTuple):
    """One crop: uint8 `(side, side, 3)`, and `(side * scale, side * scale, 3)` twice."""

    lr: Pixels
    teacher: Pixels
    hr: Pixels


class LessonBatch(NamedTuple):
    """Crops of one step: uint8 `(N, size / scale, size / scale, 3)` and `(N, size, size, 3)`."""

    lr: Pixels
    hr: Pixels
    teacher: Pixels


@dataclass(frozen=True)
class LessonSet:
    """The lessons in `folder`; those that are there may be fewer than `count`."""

    folder: Path
    count: int
    side: int
    """Of the low-resolution crops."""
    scale: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> Lesson:
        """Read-only, read from disk as it is used."""
        record = self._files[number // PER_FILE][number % PER_FILE]
        small = (self.side, self.side, 3)
        large = (self.side * self.scale, self.side * self.scale, 3)
        a, b = self.side**2 * 3, self.side**2 * 3 * (1 + self.scale**2)
        return Lesson(record[:a].reshape(small), record[a:b].reshape(large),
                      record[b:].reshape(large))  # fmt: skip

    @property
    def bytes_per_lesson(self) -> int:
        """On disk."""
        return 3 * self.side**2 * (1 + 2 * self.scale**2)

    @property
    def files(self) -> list[Path]:
        """Where the lessons lie, or will."""
        return [self.folder / f"{n:05d}.lessons" for n in range(-(-self.count // PER_FILE))]

    @cached_property
    def _files(self) -> list[Pixels]:
        shape = (PER_FILE, self.bytes_per_lesson)
        return [np.memmap(path, np.uint8, mode="r", shape=shape) for path in self.files]

    def make(
        self,
        make_one: Callable[[int], Lesson],
        progress: Callable[[int, int], None] = lambda done, count: None,
    ) -> int:
        """Make what is missing, in order; how many were made.

        Raises `OutputError` when the disk is full: what was made so far stays. Raises `DataError`
        for a file that is damaged.
        """
        made = 0
        for number, path in enumerate(self.files):
            if path.is_file():
                self._check(path)
                continue
            first = number * PER_FILE
            lessons = [make_one(n) for n in range(first, first + PER_FILE)]
            content = b"".join(part.tobytes() for lesson in lessons for part in lesson)
            try:
                with atomic_path(path) as part:
                    part.write_bytes(content + zlib.crc32(content).to_bytes(_CHECKSUM, "little"))
            except OutputError as error:
                raise OutputError(
                    f"{error}; {min(first, self.count)} of {self.count} lessons are kept; make "
                    f"room, {len(content) * (len(self.files) - number) / 1e9:.1f} GB, and the same "
                    "command goes on"
                ) from error
            made += PER_FILE
            progress(min(first + PER_FILE, self.count), self.count)
        return min(made, self.count)

    def _check(self, path: Path) -> None:
        content = path.read_bytes()
        wanted = PER_FILE * self.bytes_per_lesson + _CHECKSUM
        if len(content) == wanted:
            found = zlib.crc32(content[:-_CHECKSUM]).to_bytes(_CHECKSUM, "little")
            if found == content[-_CHECKSUM:]:
                return
        raise DataError(
            f"{path}: damaged lessons (want {wanted} bytes with a fitting checksum, got "
            f"{len(content)}); remove this file and they are made again"
        )


def lesson_key(facts: Mapping[str, Any]) -> str:
    """Name of the cache whose lessons follow from `facts`."""
    text = json.dumps({"version": _VERSION, **facts}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True)
class LessonStream:
    """Batches of random crops of lessons, in an order that follows from the seed alone."""

    pairs: PairSet
    """The pictures that the lessons were cut from."""
    lessons: LessonSet
    teacher: str
    """Its name."""
    teacher_speed: float
    """Megapixels of result per second here."""
    size: int
    """Side of the high-resolution crops."""
    seed: int
    held_back: int
    """Lessons at the end that nothing is learned from."""
    flips: bool = True
    turns: bool = True

    def __len__(self) -> int:
        return len(self.lessons) - self.held_back

    def sample(self, number: int) -> Lesson:
        """Sample `number`: views of one crop, mirrored and turned."""
        epoch, place = divmod(number, len(self))
        lesson = self.lessons[int(shuffled(self.seed, epoch, len(self))[place])]
        rng = np.random.default_rng((self.seed, 2, number))
        scale = self.lessons.scale
        side = self.size // scale
        top, left = rng.integers(self.lessons.side - side + 1, size=2)
        mirror, quarters = int(rng.integers(2)), int(rng.integers(4))
        parts = []
        for image, factor in zip(lesson, (1, scale, scale), strict=True):
            rows = slice(top * factor, (top + side) * factor)
            part = image[rows, left * factor : (left + side) * factor]
            if self.flips and mirror:
                part = part[:, ::-1]
            parts.append(np.rot90(part, quarters) if self.turns else part)
        return Lesson(*parts)

    def batch(self, start: int, *, size: int, rank: int = 0, processes: int = 1) -> LessonBatch:
        """Samples `start` to `start + size`, of which this process takes each `processes`-th."""
        samples = [self.sample(n) for n in range(start + rank, start + size, processes)]
        lr, teacher, hr = (np.stack(parts) for parts in zip(*samples, strict=True))
        return LessonBatch(lr, hr, teacher)

    def batches(
        self, start: int, *, size: int, rank: int = 0, processes: int = 1, workers: int = 2
    ) -> Generator[LessonBatch, None, None]:
        """Endless batches from sample `start` on, cut ahead in `workers` threads."""
        return batches_ahead(
            lambda first: self.batch(first, size=size, rank=rank, processes=processes),
            start,
            size=size,
            workers=workers,
        )

    def held_back_lessons(self) -> list[Lesson]:
        """What imitation is measured on."""
        return [self.lessons[n] for n in range(len(self), len(self.lessons))]


__all__ = ["Lesson", "LessonBatch", "LessonSet", "LessonStream", "lesson_key"]
