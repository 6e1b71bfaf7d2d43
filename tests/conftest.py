"""Shared fixtures: small pictures drawn in code, and the benchmark folder where there is one."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
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
