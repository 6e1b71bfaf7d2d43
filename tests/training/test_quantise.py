"""Bytes fitted to a network."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from fourfold.cli.main import app
from fourfold.imaging.resize import imresize
from fourfold.runtimes.openvino import cpu_precisions
from fourfold.training.quantise import agreement, practice, quantise
from fourfold.weights.format import Model, load_model, save_model
from tests.models import plain_network, tiny_model

vnni = pytest.mark.skipif("int8" not in cpu_precisions(), reason="this CPU has no VNNI")


def model() -> Model:
    graph, tensors = plain_network()
    return replace(tiny_model(), architecture="plain", tensors=tensors, layout=graph)


def photographs(folder: Path, count: int) -> Path:
    rng = np.random.default_rng(0)
    folder.mkdir()
    for i in range(count):
        large = imresize(rng.random((9, 9, 3)), size=(200, 180))
        Image.fromarray(np.uint8(np.clip(large * 255, 0, 255))).save(folder / f"{i}.png")
    return folder


def test_practice_is_reproducible_and_in_range(tmp_path: Path) -> None:
    pictures = sorted(photographs(tmp_path / "p", 2).iterdir())
    first, again = (practice(pictures, scale=4, noisy=True, count=6) for _ in range(2))
    assert first.shape == (6, 3, 40, 40)
    assert first.dtype == np.float32
    assert (first >= 0).all()
    assert (first <= 1).all()
    np.testing.assert_array_equal(first, again)


@vnni
def test_fitting_helps_and_repeats(tmp_path: Path) -> None:
    pictures = sorted(photographs(tmp_path / "p", 2).iterdir())
    crops = practice(pictures, scale=4, noisy=False, count=8)
    judge = [np.uint8(255 * crop.transpose(1, 2, 0)) for crop in crops]
    network = model()
    begun, fitted, again = (quantise(network, crops, steps=n) for n in (0, 30, 30))
    assert agreement(network, fitted, judge) > agreement(network, begun, judge) + 0.2
    for name, conv in fitted.convs.items():
        np.testing.assert_array_equal(conv.weight, again.convs[name].weight)
        assert network.tensors[f"{name}.weight"].shape == conv.weight.shape
    assert len(begun.convs) == sum(n.endswith("weight") for n in network.tensors) - 1


@vnni
def test_the_command_writes_a_file_that_runs_in_int8(tmp_path: Path) -> None:
    data = photographs(tmp_path / "photographs", 2)
    save_model(model(), tmp_path / "m.safetensors")
    out = tmp_path / "out.safetensors"
    words = ["models", "quantize", str(tmp_path / "m.safetensors"), "-o", str(out)]
    result = CliRunner().invoke(
        app, [*words, "--data", str(data), "--judge", str(data), "--steps", "2"]
    )
    assert result.exit_code == 0, result.output
    assert "dB from fp32 on photographs; auto" in result.output
    made, before = load_model(out), load_model(tmp_path / "m.safetensors")
    assert made.int8 is not None
    assert made.sha256 == before.sha256
