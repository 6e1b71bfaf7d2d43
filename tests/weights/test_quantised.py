"""Facts for int8 in a model file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fourfold.errors import ModelError
from fourfold.weights.format import load_model, save_model
from fourfold.weights.quantised import ByteConv, Quantised
from tests.models import in_bytes, tiny_model


def test_a_file_keeps_them_beside_the_weights(tmp_path: Path) -> None:
    model = in_bytes(tiny_model(), db=51.234)
    save_model(model, tmp_path / "with.safetensors")
    save_model(replace(model, int8=None), tmp_path / "without.safetensors")
    back = load_model(tmp_path / "with.safetensors")
    assert back.int8 is not None
    assert model.int8 is not None
    assert back.int8.db == 51.23
    assert back.int8.is_enough
    for name, conv in model.int8.convs.items():
        for part in ("zero", "steps", "weight", "scales", "bias"):
            np.testing.assert_array_equal(getattr(back.int8.convs[name], part), getattr(conv, part))
    other = load_model(tmp_path / "without.safetensors")
    assert other.int8 is None
    assert other.sha256 == back.sha256
    assert set(other.tensors) == set(back.tensors)


def broken(model_part: str, value: object) -> Quantised:
    facts = in_bytes(tiny_model()).int8
    assert facts is not None
    name, conv = next(iter(facts.convs.items()))
    return Quantised({name: replace(conv, **{model_part: value})}, 50.0)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("zero", 256),
        ("steps", np.zeros(8)),
        ("scales", np.full(8, -1.0)),
        ("scales", np.ones(7)),
        ("bias", np.full(8, np.nan)),
        ("weight", np.zeros((8, 8, 1, 1), np.int8)),
    ],
)
def test_facts_that_do_not_fit_are_refused(part: str, value: object, tmp_path: Path) -> None:
    model = replace(tiny_model(), int8=broken(part, value))
    save_model(model, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match=r"int8 facts of .* do not fit the network"):
        load_model(tmp_path / "m.safetensors")


def test_the_convolution_of_the_picture_and_unknown_ones_are_refused(tmp_path: Path) -> None:
    model = tiny_model()
    for name in ("head", "nothing"):
        weight = model.tensors["head.weight"]
        ones = np.ones(len(weight), np.float32)
        conv = ByteConv(0, np.ones(3, np.float32), np.int8(weight * 0), ones, ones)
        save_model(replace(model, int8=Quantised({name: conv}, 1.0)), tmp_path / "m.safetensors")
        with pytest.raises(ModelError, match=f"int8 facts of {name} do not fit"):
            load_model(tmp_path / "m.safetensors")
