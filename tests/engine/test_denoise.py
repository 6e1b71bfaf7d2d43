"""`denoise`: between a model for photographs and its clean one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold import Request, Upscaler
from fourfold.engine.network import load_network
from fourfold.errors import UsageError
from fourfold.weights.format import save_model
from fourfold.weights.usage import Usage
from fourfold.weights.zoo import BUNDLED, get_model
from tests.models import tiny_model

PHOTOS = [name for name in BUNDLED if get_model(name).usage.purpose == "photo"]


@pytest.mark.parametrize("name", PHOTOS)
def test_both_ends_are_the_two_models(name: str) -> None:
    photo = get_model(name)
    clean = get_model(photo.usage.clean)
    for share, end in ((0, clean), (1, photo)):
        network = load_network(name, denoise=share)
        assert (network.sha256, network.name) == (end.sha256, end.name)
        assert network.usage == end.usage
    assert (clean.usage.purpose, clean.usage.consistency) == ("clean", True)


def test_between_the_ends_weights_are_blended_and_nothing_is_put_back(tmp_path: Path) -> None:
    clean = replace(tiny_model(seed=1), name="clean")
    save_model(clean, tmp_path / "clean.safetensors")
    usage = Usage(purpose="photo", consistency=False, clean=str(tmp_path / "clean.safetensors"))
    photo = replace(tiny_model(seed=2), name="photo", usage=usage)
    network = load_network(photo, denoise=0.25)
    assert network.usage == usage
    ends = [load_network(model) for model in (clean, photo)]
    graphs = [one.whole for one in (*ends, network)]
    a, b, blend = (graph.tensors["head.weight"] for graph in graphs)  # type: ignore[attr-defined]
    np.testing.assert_allclose(blend, 0.75 * a + 0.25 * b, rtol=1e-5)
    assert not Upscaler(photo, denoise=0.25).consistency
    assert Upscaler(photo, denoise=0).consistency


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"model": "srgan-x4", "denoise": 0.5}, "does not name; leave model away"),
        ({"model": "srgan-photo-x4", "denoise": 0.5, "texture": 0.5}, "want one of them, got both"),
        ({"model": "srgan-photo-x4", "denoise": 1.5}, "denoise: want a number from 0 to 1"),
        ({"model": "srgan-photo-x4", "denoise": "much"}, "denoise: want a number from 0 to 1"),
        ({"model": "srgan-photo-x4", "texture": 0.5}, "texture blends srresnet-x4 and srgan-x4"),
    ],
)
def test_what_cannot_be_blended_is_a_usage_error(options: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Upscaler(**options)


def test_requests_refuse_it_at_once() -> None:
    with pytest.raises(UsageError, match="denoise: want 0"):
        Request(source="a.png", denoise=2.0)
    with pytest.raises(UsageError, match="texture and denoise: want one of them"):
        Request(source="a.png", denoise=0.5, texture=0.5)
