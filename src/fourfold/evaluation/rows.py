"""Scores of pictures to rows of a table, JSON and CSV. Equal scores give equal bytes."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final

import numpy as np

from fourfold.evaluation.contestants import Contestant
from fourfold.evaluation.datasets import Dataset
from fourfold.evaluation.degradation import Degradation
from fourfold.evaluation.evaluate import PictureScore
from fourfold.evaluation.published import published_rows
from fourfold.metrics.protocol import PROTOCOL, Scores, mean_scores

_LEVEL: Final = 0.95
_RESAMPLES: Final = 2000
_SEED: Final = 0
INTERVAL: Final = {
    "method": "bootstrap over pictures, percentiles",
    "level": _LEVEL,
    "resamples": _RESAMPLES,
    "seed": _SEED,
}
_PLACES: Final = {"psnr": 4, "ssim": 5, "drift": 4, "consistency_psnr": 4}

_CSV_KEYS: Final = ("dataset", "image", "model", "scale")

Row = dict[str, Any]


def build_rows(
    scored: Sequence[PictureScore],
    contestants: Sequence[Contestant],
    datasets: Sequence[Dataset],
    *,
    degradation: Degradation | None = None,
) -> list[Row]:
    """One row for each dataset and contestant that met, then the published rows of the dataset.

    No published row is of degraded pictures, so `degradation` leaves them out.
    """
    damage = {"degradation": degradation.name, "seed": degradation.seed} if degradation else {}
    rows: list[Row] = []
    for dataset in datasets:
        sha256 = dataset.sha256()
        for contestant in contestants:
            if contestant.scale == dataset.scale:
                key = (dataset.name, contestant.name, dataset.scale)
                own = [s for s in scored if (s.dataset, s.model, s.scale) == key]
                rows.append(_row(own, contestant) | {"data_sha256": sha256} | damage)
        if degradation is None:
            rows += published_rows(dataset.name, images=len(dataset.pairs), scale=dataset.scale)
    return rows


def _row(scored: Sequence[PictureScore], contestant: Contestant) -> Row:
    mean = mean_scores([s.scores for s in scored])
    seconds = sum(s.seconds for s in scored)
    flops = contestant.flops_per_output_pixel
    return {
        "model": contestant.name,
        "weights_sha256": contestant.weights_sha256,
        "dataset": scored[0].dataset,
        "images": len(scored),
        "psnr_y": _number(mean.psnr_y, "psnr"),
        "ssim_y": _number(mean.ssim_y, "ssim"),
        "psnr_rgb": _number(mean.psnr_rgb, "psnr"),
        "ssim_rgb": _number(mean.ssim_rgb, "ssim"),
        "drift": _number(mean.drift, "drift"),
        "consistency_psnr": _mean([s.consistency_psnr for s in scored]),
        "lr_psnr": _mean([s.consistency_psnr for s in scored]),  # the field's name for the same
        "seconds": round(seconds, 3),
        "megapixels_per_second": round(sum(s.megapixels for s in scored) / max(seconds, 1e-9), 3),
        **{name: _mean([s.further[name] for s in scored]) for name in scored[0].further},
        "scale": contestant.scale,
        "psnr_y_interval": bootstrap([s.scores.psnr_y for s in scored]),
        "parameters": contestant.parameters,
        "flops_per_output_pixel": None if flops is None else round(flops),
        "settings": dict(contestant.settings),
    }


def bootstrap(values: Sequence[float]) -> list[float] | None:
    """Percentile interval of the mean, `[low, high]`; None for one picture or infinite scores."""
    if len(values) < 2 or not all(map(isfinite, values)):
        return None
    rng = np.random.default_rng(_SEED)
    drawn = rng.choice(np.asarray(values), (_RESAMPLES, len(values)))
    tail = (1 - _LEVEL) / 2
    low, high = np.quantile(drawn.mean(axis=1), [tail, 1 - tail])
    return [round(float(low), 3), round(float(high), 3)]


def to_json(rows: Sequence[Row]) -> str:
    """`{"protocol": ..., "rows": [...]}`, one line a row, keys in a fixed order."""
    protocol = json.dumps(PROTOCOL | {"interval": INTERVAL}, allow_nan=False)
    lines = ",\n  ".join(json.dumps(row, allow_nan=False) for row in rows)
    return f'{{\n "protocol": {protocol},\n "rows": [\n  {lines}\n ]\n}}\n'


def to_csv(scored: Sequence[PictureScore]) -> str:
    """One line a picture and contestant; an infinite PSNR is `inf`."""
    out = io.StringIO()
    further = list(scored[0].further) if scored else []
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(
        (*_CSV_KEYS, *Scores._fields, "consistency_psnr", *further, "seconds"),
    )
    for s in scored:
        kinds = ("psnr", "ssim", "psnr", "ssim", "drift")
        values = [round(v, _PLACES[kind]) for v, kind in zip(s.scores, kinds, strict=True)]
        writer.writerow(
            [s.dataset, s.image, s.model, s.scale, *values, round(s.consistency_psnr, 4)]
            + [round(s.further[name], 5) for name in further]
            + [round(s.seconds, 4)]
        )
    return out.getvalue()


def _mean(values: Sequence[float]) -> float | None:
    return _number(float(np.mean(values)), "consistency_psnr")


def _number(value: float, kind: str, places: Mapping[str, int] = _PLACES) -> float | None:
    """Rounded below what threads of a BLAS may change; None for infinity, which JSON lacks."""
    return round(float(value), places[kind]) if isfinite(value) else None


__all__ = ["INTERVAL", "Row", "bootstrap", "build_rows", "to_csv", "to_json"]
