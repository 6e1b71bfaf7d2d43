"""Films are the same films whichever way their frames go through a network."""

from __future__ import annotations

import pytest

from fourfold import Upscaler
from fourfold.weights.format import Model
from tests.models import plain_model, tiny_model


@pytest.fixture(scope="session", params=["general", "planes"])
def small(request: pytest.FixtureRequest) -> Model:
    """A network that makes floats of RGB, and one that makes the planes that are encoded."""
    if request.param == "planes":
        return plain_model()
    return tiny_model(scale=2, num_blocks=1, width=4)


@pytest.fixture(scope="session")
def up(small: Model) -> Upscaler:
    return Upscaler(small)
