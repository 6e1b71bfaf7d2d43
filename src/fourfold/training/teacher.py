"""A teacher at work: crops from the data, degraded as asked, enlarged and kept as lessons."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from math import log10
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from platformdirs import user_cache_path

from fourfold.datasets import CropSettings, CropStream, PairSet
from fourfold.datasets.degradations import add_gaussian_noise
from fourfold.engine.upscaler import Upscaler
from fourfold.errors import ConfigError
from fourfold.imaging.arrays import from_float, to_float
from fourfold.training.lessons import PER_FILE, Lesson, LessonSet, LessonStream, lesson_key

if TYPE_CHECKING:
    from fourfold.training.config import TrainConfig
    from fourfold.weights.format import Model

logger = logging.getLogger(__name__)

MIXED: Final = {"real": 0.5, "jpeg": 0.2, "noise": 0.15, "bicubic": 0.15}
"""Shares of a `mixed` set: the whole chain of faults, one fault alone, and none."""

NOISE: Final = (1.0, 20.0)
"""Range of the deviation of lessons with noise alone, in grey levels."""

_TIMED: Final = (128, 3)
"""Side of the picture that networks are timed on, and how often."""

_EDGE: Final = 8
"""LR pixels around a held-back lesson that are not compared: the teacher saw beyond them, the
student does not."""


def open_teacher(config: TrainConfig) -> Upscaler:
    """The teacher in its fastest precision; `ConfigError` when it has another scale."""
    settings = config.teacher
    consistency = None if settings.consistency == "auto" else settings.consistency
    texture = None if settings.texture == "off" else settings.texture
    teacher = Upscaler(
        settings.model,
        tta=settings.tta,
        texture=texture,
        consistency=consistency,
        precision=settings.precision,
        device=config.device,
    )
    if teacher.scale != config.model.scale:
        raise ConfigError(
            f"teacher.model={settings.model}: enlarges {teacher.scale} times, the student "
            f"{config.model.scale} times; want --set model.scale={teacher.scale} or another teacher"
        )
    return teacher


def open_lessons(
    config: TrainConfig,
    teacher: Upscaler,
    pairs: PairSet,
    crop_settings: CropSettings,
    progress: Callable[[int, int], None],
) -> LessonStream:
    """The lessons of a run, made now as far as they are not there yet.

    Raises `OutputError` when the disk is full (what is there stays) or too small from the start,
    `DataError` for a damaged cache.
    """
    settings, scale = config.teacher, config.model.scale
    root = Path(settings.cache) if settings.cache else user_cache_path("fourfold") / "lessons"
    facts = {
        "teacher": teacher.network.sha256,
        "tta": teacher.tta,
        "consistency": [settings.consistency, teacher.consistency],
        "precision": f"{teacher.choice.backend} {teacher.choice.precision}",
        "pictures": [pairs.folder.name, len(pairs)],
        "degradation": config.data.degradation,
        "jpeg": [config.data.jpeg_probability, *config.data.jpeg_quality],
        "side": settings.side,
        "margin": settings.margin,
        "scale": scale,
        "seed": config.seed,
    }
    lessons = LessonSet(root / lesson_key(facts), settings.lessons, settings.side, scale)
    affordable = int(settings.cache_gb * 1e9 / lessons.bytes_per_lesson) // PER_FILE * PER_FILE
    lessons = replace(lessons, count=min(lessons.count, affordable))
    if lessons.count <= settings.held_back:
        raise ConfigError(
            f"teacher.cache_gb={settings.cache_gb:g}: holds {lessons.count} lessons of "
            f"{lessons.bytes_per_lesson / 1e6:.1f} MB, want more than teacher.held_back="
            f"{settings.held_back}"
        )
    maker = LessonMaker(teacher, pairs, crop_settings, config)
    _warn_of_disk(lessons)
    lessons.make(maker, progress)
    return LessonStream(
        pairs=pairs,
        lessons=lessons,
        teacher=teacher.network.name,
        teacher_speed=speed_of(teacher),
        size=config.data.crop,
        seed=config.seed,
        held_back=settings.held_back,
        flips=config.data.flips,
        turns=config.data.turns,
    )


class LessonMaker:
    """Makes lesson number n, always the same one."""

    def __init__(
        self, teacher: Upscaler, pairs: PairSet, crops: CropSettings, config: TrainConfig
    ) -> None:
        self.teacher, self.config = teacher, config
        settings = config.teacher
        size = (settings.side + 2 * settings.margin) * config.model.scale
        plain = replace(crops, size=size, flips=False, turns=False, degradation="bicubic", reuse=1)
        kinds: dict[str, CropSettings] = {
            "bicubic": plain,
            "noise": plain,
            "jpeg": replace(plain, degradation="jpeg", jpeg_probability=1.0),
            "real": replace(plain, degradation="real"),
        }
        # As in training: of a set with JPEG, some crops stay clean.
        self._one = {
            "jpeg": replace(plain, degradation="jpeg"),
            "bicubic": plain,
            "real": kinds["real"],
        }
        self._streams = {k: CropStream(pairs, v, config.seed) for k, v in kinds.items()}
        self._pairs = pairs

    def __call__(self, number: int) -> Lesson:
        """The lesson, its margin cut off."""
        lr, hr = self._crop(number)
        teacher = self.teacher.upscale(lr)
        margin, scale = self.config.teacher.margin, self.config.model.scale
        inner, outer = slice(margin, lr.shape[0] - margin), slice(margin * scale, -margin * scale)
        if not margin:
            outer = slice(None)
        return Lesson(lr[inner, inner], np.asarray(teacher)[outer, outer], hr[outer, outer])

    def _crop(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        degradation = self.config.data.degradation
        if degradation != "mixed":
            settings = self._one[degradation]
            return CropStream(self._pairs, settings, self.config.seed).sample(number)
        rng = np.random.default_rng((self.config.seed, 3, number))
        kind = str(rng.choice(list(MIXED), p=list(MIXED.values())))
        lr, hr = self._streams[kind].sample(number)
        if kind == "noise":
            sigma = float(rng.uniform(*NOISE)) / 255
            noisy = add_gaussian_noise(to_float(lr), sigma=sigma, grey=False, rng=rng)
            lr = from_float(noisy, np.dtype(np.uint8))
        return lr, hr


def _warn_of_disk(lessons: LessonSet) -> None:
    """Say beforehand when the lessons will not fit; what fits is of use all the same."""
    missing = sum(not path.is_file() for path in lessons.files)
    wanted = missing * PER_FILE * lessons.bytes_per_lesson
    folder = lessons.folder
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if wanted > free:
        logger.warning(
            "%s: the lessons take %.1f GB, %.1f GB are free; --set teacher.lessons or cache_gb",
            lessons.folder,
            wanted / 1e9,
            free / 1e9,
        )


def imitation_psnr(model: Model, lessons: LessonStream, *, consistency: bool) -> float:
    """PSNR in dB, RGB, of a network's enlargements of the held-back lessons against the teacher's."""
    student = Upscaler(model, consistency=consistency, precision="fp32", device="cpu")
    edge = min(_EDGE, (lessons.lessons.side - 1) // 2) * student.scale
    inner = slice(edge, -edge)
    errors = []
    for lesson in lessons.held_back_lessons():
        sr = student.upscale(np.ascontiguousarray(lesson.lr)).astype(np.float32)
        difference = (sr - lesson.teacher)[inner, inner]
        errors.append(float(np.mean(difference**2)))
    mean = float(np.mean(errors))
    return 10 * log10(255**2 / mean) if mean else float("inf")


def speed_of(upscaler: Upscaler) -> float:
    """Megapixels of result per second, best of a few; the first call also opens the network."""
    side, rounds = _TIMED
    picture = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    seconds = []
    for _ in range(rounds):
        started = time.perf_counter()
        upscaler.upscale(picture)
        seconds.append(time.perf_counter() - started)
    return (side * upscaler.scale) ** 2 / 1e6 / min(seconds)


__all__ = [
    "MIXED",
    "LessonMaker",
    "imitation_psnr",
    "open_lessons",
    "open_teacher",
    "speed_of",
]
