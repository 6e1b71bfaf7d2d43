"""Models x datasets to figures, with the protocol they follow."""

from __future__ import annotations

from fourfold.evaluation.contestants import Contestant, bicubic, from_upscaler, load_contestants
from fourfold.evaluation.datasets import Dataset, open_dataset, open_datasets
from fourfold.evaluation.evaluate import PictureScore, Scene, evaluate
from fourfold.evaluation.rows import build_rows, to_csv, to_json

__all__ = [
    "Contestant",
    "Dataset",
    "PictureScore",
    "Scene",
    "bicubic",
    "build_rows",
    "evaluate",
    "from_upscaler",
    "load_contestants",
    "open_dataset",
    "open_datasets",
    "to_csv",
    "to_json",
]
