"""A run of seconds: three drawn pictures, one block of eight channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fourfold.pictures.images import write_pixels
from fourfold.training.config import TrainConfig, parse_config


def draw(seed: int, height: int = 64, width: int = 72) -> np.ndarray:
    """Smooth colours with a few edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:height, 0:width]
    waves = [np.sin(x / rng.uniform(3, 12) + y / rng.uniform(3, 12)) for _ in range(3)]
    picture = np.stack(waves, axis=2) * 100 + 127
    picture[height // 3 : height // 2, width // 4 :] = rng.integers(0, 255, 3)
    return picture.astype(np.uint8)


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for i in range(3):
        write_pixels(draw(i), folder / f"photo{i}.png")
    return folder


@pytest.fixture
def settings(photos, tmp_path):
    """Build the config of a tiny run; keyword arguments are tables or values."""

    def build(**changes) -> TrainConfig:
        values = {
            "name": "test",
            "steps": 6,
            "batch_size": 2,
            "device": "cpu",
            "validate_every": 3,
            "checkpoint_every": 2,
            "report_every": 1,
            "ema_decay": 0.9,
            "model": {"num_blocks": 1, "width": 8},
            "data": {
                "train": str(photos),
                "valid": str(photos),
                "crop": 32,
                "cache": str(tmp_path / "cache"),
                "workers": 1,
            },
        }
        for key, value in changes.items():
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
        return parse_config(values)

    return build


@pytest.fixture
def gan(settings):
    """The same with a discriminator and a content loss of random VGG weights."""

    def build(**changes) -> TrainConfig:
        losses = {
            "pixel_weight": 0.01,
            "content_weight": 1.0,
            "content": "vgg22",
            "content_weights": "random",
            "adversarial_weight": 1e-3,
        }
        own = {"losses": losses, "gan": {"allow_random_start": True, "discriminator_width": 4}}
        for key, value in changes.items():
            own[key] = {**own.get(key, {}), **value} if isinstance(value, dict) else value
        return settings(**own)

    return build
