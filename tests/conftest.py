"""Shared fixtures: small pictures drawn in code, and the benchmark folder where there is one."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def bench() -> Path:
    """Folder with Set5 and Set14 (`FOURFOLD_BENCH`), never part of the repository."""
    path = Path(os.environ.get("FOURFOLD_BENCH", REPOSITORY / ".." / "shared" / "data" / "bench"))
    if not (path / "Set5" / "HR").is_dir():
        pytest.skip(f"no benchmark pictures at {path}; set FOURFOLD_BENCH to a folder with Set5/HR")
    return path.resolve()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20170)


@pytest.fixture(scope="session")
def draw() -> Callable[..., npt.NDArray[np.uint8]]:
    """Draws a small RGB picture: waves, a disc and a little noise; `draw(height, width, seed)`."""

    def drawn(height: int = 48, width: int = 64, seed: int = 0) -> npt.NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width].astype(np.float64)
        planes = []
        for _ in range(3):
            angle, period, phase = rng.uniform(0, 3, 3)
            wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / (2 + 3 * period) + phase)
            disc = np.hypot(y - height / 2, x - width / 2) < min(height, width) / 4
            planes.append(128 + 70 * wave + 50 * disc)
        noisy = np.stack(planes, axis=2) + rng.normal(0, 3, (height, width, 3))
        return np.clip(noisy, 0, 255).astype(np.uint8)

    return drawn


@pytest.fixture
def flaky_server():
    """Start local web servers that are closed at the end of the test."""
    spec = importlib.util.spec_from_file_location("servers", Path(__file__).with_name("servers.py"))
    servers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(servers)
    started = []

    def start(files, **options):
        started.append(servers.FlakyServer(files, **options))
        return started[-1]

    yield start
    for server in started:
        server.close()
