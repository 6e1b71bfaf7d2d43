"""What the tests of folders of any size share: a tiny model and small pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fourfold.cluster.worker import Batch
from fourfold.jobs.request import Request
from fourfold.pictures.images import write_pixels
from fourfold.weights.format import save_model
from tests.models import tiny_model


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network that takes milliseconds."""
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(tiny_model(scale=2), path)
    return path


@pytest.fixture
def batch(tmp_path: Path, model: Path) -> Callable[..., Batch]:
    """A batch of the folder `in`, with results in `out`, below the test's folder unless told."""

    def made(
        source: str = str(tmp_path / "in"), target: str = str(tmp_path / "out"), **options: Any
    ) -> Batch:
        settings = {"recursive": True, "retries": 0}
        settings |= {name: options.pop(name) for name in ("only", *settings) if name in options}
        request = Request(source="-", model=str(model), precision="fp32", **options)
        return Batch(source=source, target=target, request=request, **settings)

    return made


@pytest.fixture
def album(tmp_path: Path, draw: Callable[..., Any]) -> Callable[..., Path]:
    """Writes small pictures into the folder `in`."""

    def made(*names: str) -> Path:
        for seed, name in enumerate(names):
            path = tmp_path / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_pixels(draw(12, 16, seed=seed), path)
        return tmp_path / "in"

    return made
