"""Score the network as users will run it: through the Upscaler, by the package's protocol."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from fourfold.data import PairSet
from fourfold.engine.upscaler import Upscaler
from fourfold.imaging.resize import imresize
from fourfold.metrics.protocol import Scores, mean_scores, score_pair
from fourfold.weights.format import Model

if TYPE_CHECKING:
    from fourfold.networks.srresnet import SRResNet
    from fourfold.training.config import TrainConfig

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
    network: SRResNet, config: TrainConfig, *, step: int, scores: Mapping[str, Scores] | None = None
) -> Model:
    """The network as a model file describes it, with the run's settings and scores."""
    training: dict[str, Any] = {
        "step": step,
        "description": config.description,
        "config": json.loads(config.model_dump_json()),
    }
    if scores is not None:
        training["scores"] = {name: s._asdict() for name, s in scores.items()}
    return Model(
        name=config.name,
        architecture=config.model.architecture,
        scale=network.scale,
        hyperparameters=network.hyperparameters(),
        tensors=network.inference_tensors(),
        license=config.license,
        source="trained with fourfold",
        training=training,
    )


def validate(model: Model, sets: Mapping[str, PairSet]) -> Validation:
    """Upscale and score every picture of every set.

    Without the consistency step, which would hide a drift of the network itself.
    """
    upscaler = Upscaler(model, consistency=False)
    scores: dict[str, Scores] = {}
    samples: list[tuple[Pixels, Pixels, Pixels]] = []
    for name, pairs in sets.items():
        found = []
        for index in range(len(pairs)):
            lr, hr = np.array(pairs.lr(index)), np.array(pairs.hr(index))
            sr = upscaler.upscale(lr)
            found.append(score_pair(sr, hr, scale=pairs.scale))
            if index < SAMPLES:
                samples.append((lr, sr, hr))
        scores[name] = mean_scores(found)
    return Validation(scores, samples)


def score_bicubic(sets: Mapping[str, PairSet]) -> dict[str, Scores]:
    """What plain bicubic enlargement scores: the floor for any network."""
    return {
        name: mean_scores(
            [
                score_pair(
                    imresize(np.array(pairs.lr(i)), pairs.scale), pairs.hr(i), scale=pairs.scale
                )
                for i in range(len(pairs))
            ]
        )
        for name, pairs in sets.items()
    }


__all__ = ["Validation", "score_bicubic", "to_model", "validate"]
