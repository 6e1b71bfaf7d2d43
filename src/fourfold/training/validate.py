"""Score the network as users will run it: through the Upscaler, by the package's protocol."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.engine.upscaler import Upscaler
from fourfold.evaluation import (
    Dataset,
    PictureScore,
    Scene,
    bicubic,
    evaluate,
    from_upscaler,
    open_datasets,
)
from fourfold.metrics.protocol import Scores, mean_scores
from fourfold.networks.catalog import describe
from fourfold.weights.format import Model
from fourfold.weights.usage import Usage

if TYPE_CHECKING:
    from fourfold.networks.generator import Generator
    from fourfold.training.config import DataConfig, TrainConfig

Pixels = npt.NDArray[np.uint8]

SAMPLES: Final = 3
"""Pictures of each set that the sample grid shows."""


class Validation(NamedTuple):
    """Scores by set, and rows of (low resolution, result, original) to look at."""

    scores: dict[str, Scores]
    samples: list[tuple[Pixels, Pixels, Pixels]]

    @property
    def psnr_y(self) -> float:
        """Mean over the sets: what "best" goes by."""
        return float(np.mean([s.psnr_y for s in self.scores.values()]))


def to_model(
    network: Generator,
    config: TrainConfig,
    *,
    step: int,
    scores: Mapping[str, Scores] | None = None,
) -> Model:
    """The network as a model file describes it, with the run's settings and scores."""
    training: dict[str, Any] = {
        "step": step,
        "description": config.description,
        "config": public_settings(config),
    }
    if scores is not None:
        training["scores"] = {name: s._asdict() for name, s in scores.items()}
    return describe(
        network,
        name=config.name,
        license=config.license,
        usage=usage_of(config),
        source="trained with fourfold",
        training=training,
    )


def usage_of(config: TrainConfig) -> Usage:
    """What the run's model needs at use: what was set, else what its degradation asks for."""
    asked, degradation = config.usage, config.data.degradation
    purpose = asked.purpose
    if purpose == "auto":
        purpose = "clean" if degradation == "bicubic" else "photo"
    consistency = asked.consistency
    if consistency == "auto":
        consistency = purpose == "clean" or config.consistency
    return Usage(
        purpose=purpose,
        consistency=consistency,
        shave=asked.shave,
        degradations=(degradation,),
    )


def public_settings(config: TrainConfig) -> dict[str, Any]:
    """The settings as a model file may tell them: folders by name, without where they lie."""
    settings: dict[str, Any] = json.loads(config.model_dump_json())
    for key in ("train", "valid"):
        settings["data"][key] = [Path(folder).name for folder in settings["data"][key]]
    settings["data"]["cache"] = settings["teacher"]["cache"] = ""
    settings["teacher"]["model"] = Path(settings["teacher"]["model"]).name
    for table in (*settings["losses"], settings["gan"]):
        for key in ("weights", "discriminator_weights"):
            if key in table:
                table[key] = Path(table[key]).name
    return settings


def open_validation(data: DataConfig, *, scale: int) -> list[Dataset]:
    """The first pairs of each folder; `DataError` for what cannot be scored."""
    folders = [Path(folder) for folder in data.valid]
    skip_bad = data.bad_pictures == "skip"
    return open_datasets(folders, scale=scale, limit=data.valid_limit, skip_bad=skip_bad)


def validate(model: Model, datasets: Sequence[Dataset], *, consistency: bool = False) -> Validation:
    """Upscale and score every picture of every set.

    Without the consistency step, which would hide a drift of the network itself, unless the network
    was trained with it.
    """
    contestant = from_upscaler(Upscaler(model, consistency=consistency), label=model.name)
    samples: list[tuple[Pixels, Pixels, Pixels]] = []
    shown: Counter[str] = Counter()

    def keep(scene: Scene) -> None:
        shown[scene.dataset.name] += 1
        if shown[scene.dataset.name] <= SAMPLES:
            samples.append((scene.lr, scene.results[contestant.name], scene.hr))

    return Validation(_means(evaluate([contestant], datasets, on_scene=keep)), samples)


def score_bicubic(datasets: Sequence[Dataset]) -> dict[str, Scores]:
    """What plain bicubic enlargement scores: the floor for any network."""
    return _means(evaluate([bicubic(datasets[0].scale)], datasets)) if datasets else {}


def _means(scored: Sequence[PictureScore]) -> dict[str, Scores]:
    by_set: dict[str, list[Scores]] = {}
    for picture in scored:
        by_set.setdefault(picture.dataset, []).append(picture.scores)
    return {name: mean_scores(scores) for name, scores in by_set.items()}


__all__ = ["Validation", "open_validation", "score_bicubic", "to_model", "validate"]
