"""Model files: complete, repeatable, refused when damaged."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from fourfold.errors import ModelError, ModelNotFound, OutputError
from fourfold.weights.format import blend_models, load_model, save_model
from fourfold.weights.zoo import BUNDLED, get_model, resolve_model_path
from tests.models import tiny_model


def test_a_model_comes_back_equal(tmp_path: Path) -> None:
    model = replace(tiny_model(), source="here", training={"steps": 3})
    save_model(model, tmp_path / "m.safetensors")
    back = load_model(tmp_path / "m.safetensors")
    assert back.sha256 == model.sha256
    assert (back.name, back.scale, back.license) == ("tiny", 4, "Apache-2.0")
    assert (back.hyperparameters, back.training) == (model.hyperparameters, {"steps": 3})


def test_the_same_model_gives_the_same_bytes_and_the_library_reads_them(tmp_path: Path) -> None:
    for name in ("a", "b"):
        save_model(tiny_model(), tmp_path / f"{name}.safetensors", storage="fp16")
    content = (tmp_path / "a.safetensors").read_bytes()
    assert content == (tmp_path / "b.safetensors").read_bytes()
    with safe_open(str(tmp_path / "a.safetensors"), framework="numpy") as file:
        assert file.metadata()["architecture"] == "srresnet"
        assert file.get_tensor("head.weight").dtype == np.float16


@pytest.mark.parametrize("position", [4, -2000, -1])
def test_a_flipped_byte_is_found(tmp_path: Path, position: int) -> None:
    path = tmp_path / "m.safetensors"
    save_model(tiny_model(), path)
    content = bytearray(path.read_bytes())
    content[position] ^= 0x55
    path.write_bytes(bytes(content))
    with pytest.raises(ModelError, match=r"m\.safetensors"):
        load_model(path)


@pytest.mark.parametrize("content", [b"", b"hello", b"\0" * 100])
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.safetensors"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="unreadable"):
        load_model(path)


def test_a_foreign_safetensors_file_is_told_apart(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"x": np.ones(2, np.float32)}, tmp_path / "m.safetensors")
    with pytest.raises(ModelError, match="not a fourfold model"):
        load_model(tmp_path / "m.safetensors")


def test_nan_and_overflow_are_never_written(tmp_path: Path) -> None:
    model = tiny_model()
    path = tmp_path / "m.safetensors"
    nan = replace(model, tensors={**model.tensors, "tail.bias": np.full(12, np.nan, np.float32)})
    with pytest.raises(ModelError, match="finite"):
        save_model(nan, path)
    large = replace(model, tensors={**model.tensors, "tail.bias": np.full(12, 1e6, np.float32)})
    with pytest.raises(ModelError, match="fp16"):
        save_model(large, path, storage="fp16")
    assert list(tmp_path.iterdir()) == []


def test_an_unwritable_place_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        save_model(tiny_model(), tmp_path / "file" / "m.safetensors")


def test_texture_ends_are_the_models_themselves() -> None:
    a, b = tiny_model(seed=1), tiny_model(seed=2)
    assert blend_models(a, b, texture=0) is a
    assert blend_models(a, b, texture=1) is b
    middle = blend_models(a, b, texture=0.25)
    expected = 0.75 * a.tensors["head.weight"] + 0.25 * b.tensors["head.weight"]
    np.testing.assert_allclose(middle.tensors["head.weight"], expected, rtol=1e-6)


def test_blending_two_shapes_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot blend"):
        blend_models(tiny_model(), tiny_model(width=4), texture=0.5)


@pytest.mark.parametrize("name", BUNDLED)
def test_bundled_models_load_and_have_a_card(name: str) -> None:
    model = get_model(name)
    assert (model.scale, model.license) == (4, "Apache-2.0")
    card = resolve_model_path(name).with_suffix(".md").read_text(encoding="utf-8")
    assert name in card
    assert "Apache-2.0" in card


def test_names_that_lead_nowhere_say_what_exists(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="srgan-x4, srresnet-x4"):
        resolve_model_path("srgan-x3")
    with pytest.raises(ModelNotFound, match="training run"):
        resolve_model_path(tmp_path)
