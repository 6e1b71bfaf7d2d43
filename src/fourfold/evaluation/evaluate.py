"""Contestants x datasets to scores. Pure but for reading pictures and a clock.

`train` and `fourfold evaluate` both score through `evaluate`, so a figure means the same in both.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fourfold.datasets.layouts import Source
from fourfold.errors import DataError
from fourfold.evaluation.contestants import Contestant
from fourfold.evaluation.datasets import Dataset, load_pair
from fourfold.evaluation.degradation import Degradation
from fourfold.metrics.drift import consistency_psnr
from fourfold.metrics.protocol import Scores, score_pair

Rgb8 = npt.NDArray[np.uint8]
Metric = Callable[[Rgb8, Rgb8], float]
"""A further score of (sr, hr), both uint8 `(H, W, 3)` with `scale` pixels shaved."""

_WARM_UP_SIDE = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureScore:
    """One contestant on one picture."""

    dataset: str
    image: str
    model: str
    scale: int
    scores: Scores
    consistency_psnr: float
    further: Mapping[str, float] = field(default_factory=dict)
    seconds: float
    megapixels: float
    """Of the result."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """Everything about one picture that a report may show; gone after the callback."""

    dataset: Dataset
    image: str
    lr: Rgb8
    hr: Rgb8
    results: Mapping[str, Rgb8]
    scores: Mapping[str, PictureScore]


def evaluate(
    contestants: Sequence[Contestant],
    datasets: Sequence[Dataset],
    *,
    metrics: Mapping[str, Metric] | None = None,
    degradation: Degradation | None = None,
    on_scene: Callable[[Scene], None] | None = None,
) -> list[PictureScore]:
    """Score each contestant on each dataset of its scale, in that order of pictures.

    Pictures are held one at a time; `degradation` damages their inputs first.
    `on_scene` sees each with all results. Raises `DataError` when a contestant has no dataset of its scale.
    """
    for contestant in contestants:
        if all(dataset.scale != contestant.scale for dataset in datasets):
            raise DataError(
                f"{contestant.name} enlarges {contestant.scale} times, the data is of scale "
                f"{sorted({d.scale for d in datasets})}"
            )
    for contestant in contestants:  # compile before the clock runs
        contestant.upscale(np.zeros((_WARM_UP_SIDE, _WARM_UP_SIDE, 3), np.uint8))
    scored: list[PictureScore] = []
    for scene in _scenes(contestants, datasets, metrics or {}, degradation):
        scored.extend(scene.scores.values())
        if on_scene:
            on_scene(scene)
    return scored


def _scenes(
    contestants: Sequence[Contestant],
    datasets: Sequence[Dataset],
    metrics: Mapping[str, Metric],
    degradation: Degradation | None,
) -> Iterator[Scene]:
    for dataset in datasets:
        fitting = [c for c in contestants if c.scale == dataset.scale]
        for pair in dataset.pairs:
            yield _scene(fitting, dataset, pair, metrics, degradation)


def _scene(
    contestants: Sequence[Contestant],
    dataset: Dataset,
    pair: Source,
    metrics: Mapping[str, Metric],
    degradation: Degradation | None,
) -> Scene:
    lr, hr = load_pair(pair, scale=dataset.scale)
    if degradation:
        lr = degradation(lr, hr, picture=pair.name)
    results: dict[str, Rgb8] = {}
    scores: dict[str, PictureScore] = {}
    for contestant in contestants:
        start = time.perf_counter()
        sr = contestant.upscale(lr)
        seconds = time.perf_counter() - start
        inner = (slice(dataset.scale, -dataset.scale),) * 2
        results[contestant.name] = sr
        scores[contestant.name] = PictureScore(
            dataset=dataset.name,
            image=pair.name,
            model=contestant.name,
            scale=dataset.scale,
            scores=score_pair(sr, hr, scale=dataset.scale),
            consistency_psnr=consistency_psnr(sr, lr, scale=dataset.scale),
            further={name: metric(sr[inner], hr[inner]) for name, metric in metrics.items()},
            seconds=seconds,
            megapixels=hr.shape[0] * hr.shape[1] / 1e6,
        )
    return Scene(dataset=dataset, image=pair.name, lr=lr, hr=hr, results=results, scores=scores)


__all__ = ["Metric", "PictureScore", "Scene", "evaluate"]
