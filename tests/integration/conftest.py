"""Pictures for runs that start as commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pytest

from fourfold.pictures.images import write_pixels


@pytest.fixture(scope="session")
def photos(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(4)
    for i in range(3):
        coarse = rng.integers(0, 255, (8, 9, 3), dtype=np.uint8)
        write_pixels(np.kron(coarse, np.ones((8, 8, 1), np.uint8)), folder / f"photo{i}.png")
    return folder


@pytest.fixture
def command(photos, tmp_path):
    """The command line of a tiny run in a folder, and the environment to start it with."""

    def build(run: Path, *changes: str, resume: bool = False) -> list[str]:
        settings = [
            f"data.train={photos}",
            f"data.cache={tmp_path / 'cache'}",
            "data.workers=1",
            "data.crop=32",
            "device=cpu",
            "batch_size=2",
            "model.num_blocks=1",
            "model.width=8",
            *changes,
        ]
        flags = [flag for change in settings for flag in ("--set", change)]
        line = [sys.executable, "-m", "fourfold", "train", "tiny", *flags, "--output", str(run)]
        return [*line, "--resume"] if resume else line

    return build


@pytest.fixture
def environment() -> dict[str, str]:
    source = str(Path(__file__).parents[2] / "src")
    return {**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"}
