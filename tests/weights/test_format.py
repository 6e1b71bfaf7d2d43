"""Model files: complete, repeatable, refused when damaged."""

from __future__ import annotations

import json
import struct
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


def _edited(path: Path, edit) -> Path:
    """The model file with its header changed."""
    save_model(tiny_model(), path)
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    edit(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + content[8 + length :])
    return path


def _metadata(**values):
    return lambda header: header["__metadata__"].update(values)


HEADERS = {
    "overlapping offsets": lambda h: h["tail.bias"].update(h["head.bias"], shape=[8]),
    "offsets outside": lambda h: h["tail.bias"].update(data_offsets=[0, 1 << 40]),
    "negative offsets": lambda h: h["tail.bias"].update(data_offsets=[-4, 44]),
    "a shape of 10^18": lambda h: h["tail.bias"].update(shape=[1 << 60]),
    "an unknown type": lambda h: h["tail.bias"].update(dtype="PICKLE"),
    "metadata that is no text": _metadata(scale=4),
    "metadata in metadata": _metadata(training={"a": "b"}),
    "a scale in words": _metadata(scale="four"),
    "a scale of 10^30": _metadata(scale="1" + "0" * 30),
    "another scale": _metadata(scale="2"),
    "hyperparameters of a list": _metadata(hyperparameters="[1]"),
    "hyperparameters of words": _metadata(hyperparameters='{"num_blocks": "2"}'),
    "hyperparameters of nothing": _metadata(hyperparameters='{"num_blocks": null}'),
    "a network without end": _metadata(hyperparameters='{"num_blocks": 1000000000}'),
    "a negative network": _metadata(hyperparameters='{"num_blocks": -1}'),
    "training that is a list": _metadata(training="[1]"),
    "training without end": _metadata(training="[" * 100000),
    "usage that is a list": _metadata(usage="[]"),
    "a graph of nothing": _metadata(graph="null"),
}


@pytest.mark.parametrize("what", HEADERS)
def test_odd_headers_are_refused_in_one_line(tmp_path: Path, what: str) -> None:
    path = _edited(tmp_path / "m.safetensors", HEADERS[what])
    with pytest.raises(ModelError, match=r"m\.safetensors") as caught:
        load_model(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("head.weight", (8,)),
        ("head.weight", ()),
        ("head.weight", (8, 3, 9, 8)),
        ("head.weight", (8, 3, 8, 8)),
        ("head.weight", (8, 4, 9, 9)),
        ("head.bias", (7,)),
        ("head.slope", (8, 1)),
        ("blocks.0.conv2.weight", (9, 8, 3, 3)),
        ("upsample.0.weight", (30, 8, 3, 3)),
        ("tail.weight", (16, 32, 5, 5)),
    ],
)
def test_tensors_of_wrong_shapes_are_named_when_read(
    tmp_path: Path, name: str, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny_model()
    wrong = replace(model, tensors={**model.tensors, name: np.zeros(shape, np.float32)})
    path = tmp_path / "m.safetensors"
    with monkeypatch.context() as patch:
        patch.setattr("fourfold.weights.format.check_tensors", lambda *_, **__: None)
        save_model(wrong, path)
    with pytest.raises(ModelError, match=r"m\.safetensors: ") as caught:
        load_model(path)
    assert "wants" in str(caught.value) or "channels out" in str(caught.value)
