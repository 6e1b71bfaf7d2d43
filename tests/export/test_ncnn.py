"""ncnn files of ours: read back the same, by our reader and by ncnn itself."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.errors import OutputError
from fourfold.export.ncnn import build_ncnn, export_ncnn
from fourfold.runtimes.program import graph_program
from fourfold.weights import graph as ops
from fourfold.weights.format import Model
from fourfold.weights.graph import Graph
from fourfold.weights.inference_form import build_graph
from fourfold.weights.readers.ncnn import parse_ncnn
from tests.made_ncnn import run_ncnn, tiny_input
from tests.models import tiny_model


def every_operation() -> Model:
    """A network of each operation that a graph can have."""
    rng = np.random.default_rng(3)
    nodes = (
        ops.Conv(("lr",), "a", "first"),
        ops.LeakyRelu(("a",), "b", 0.2),
        ops.Conv(("a",), "c", "second"),
        ops.PRelu(("c",), "d", "second"),
        ops.Add(("b", "d", "a"), "e", (0.5, -1.0, 1e-6)),
        ops.Concat(("e", "b"), "f"),
        ops.Conv(("f",), "g", "third"),
        ops.Shuffle(("g",), "h", 2),
        ops.Tanh(("h",), "i"),
        ops.Affine(("i",), "j", 0.5, 0.5),
        ops.Resize(("lr",), "k", "cubic", Fraction(4)),
        ops.Resize(("k",), "l", "linear", Fraction(1, 2)),
        ops.Resize(("lr",), "m", "nearest", Fraction(2)),
        ops.Add(("j", "l", "m"), "sr", (0.4, 0.4, 0.2)),
    )
    shapes = {"first": (4, 3, 3, 3), "second": (4, 4, 5, 5), "third": (12, 8, 1, 1)}
    tensors = {f"{n}.weight": rng.normal(0, 0.2, s) for n, s in shapes.items()}
    tensors |= {f"{n}.bias": rng.normal(0, 0.1, s[0]) for n, s in shapes.items()}
    tensors["second.slope"] = rng.random(4)
    return Model(
        name="every",
        architecture="made",
        scale=2,
        hyperparameters={},
        tensors={name: np.float32(value) for name, value in tensors.items()},
        layout=Graph(("lr",), ("sr",), nodes),
    )


def msrresnet() -> Model:
    """BasicSR's, whose skip is bilinear."""
    rng = np.random.default_rng(5)
    graph = build_graph("msrresnet", scale=2, hyperparameters={"num_blocks": 1, "width": 4})
    shapes = {"head": (4, 3), "upsample.0": (16, 4), "hr": (4, 4), "tail": (3, 4)}
    shapes |= {f"blocks.0.conv{k}": (4, 4) for k in (1, 2)}
    tensors = {f"{n}.weight": rng.normal(0, 0.2, (*s, 3, 3)) for n, s in shapes.items()}
    tensors |= {f"{n}.bias": rng.normal(0, 0.1, s[0]) for n, s in shapes.items()}
    tensors |= {f"{n}.slope": np.full(shapes[n][0], 0.1) for n in ("head", "upsample.0", "hr")}
    tensors["blocks.0.slope"] = np.zeros(4)
    return Model(
        name="ms",
        architecture="msrresnet",
        scale=2,
        hyperparameters={"num_blocks": 1, "width": 4},
        tensors={name: np.float32(tensors[name]) for name in graph.tensor_names()},
    )


MODELS = {"every": every_operation, "srresnet": tiny_model, "msrresnet": msrresnet}


@pytest.mark.parametrize("name", MODELS)
def test_our_reader_makes_the_same_network_of_it(name: str, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    model = MODELS[name]()
    assert export_ncnn(model, tmp_path / "m.param") < 1e-6
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.bin", "m.param"]
    lr = np.random.default_rng(0).integers(0, 256, (20, 23, 3), np.uint8)
    options = {"precision": "fp32", "consistency": False}
    got = Upscaler(tmp_path / "m.param", **options).upscale(lr)
    wanted = Upscaler(model, **options).upscale(lr)
    assert np.abs(got.astype(int) - wanted).max() <= 1


@pytest.mark.parametrize("name", MODELS)
def test_ncnn_itself_computes_the_same(name: str, tmp_path: Path) -> None:
    pytest.importorskip("ncnn", reason="ncnn is not installed")
    model = MODELS[name]()
    text, data = build_ncnn(model.graph, model.tensors)
    (tmp_path / "m.param").write_text(text)
    (tmp_path / "m.bin").write_bytes(data)
    lr = tiny_input()
    up = Upscaler(model, precision="fp32", consistency=False)
    difference = np.abs(up.upscale(lr) - run_ncnn(tmp_path / "m.param", lr).clip(0, 1))
    assert difference.max() < 1e-4


def test_blobs_have_the_names_of_the_field_and_are_read_once() -> None:
    model = tiny_model()
    text, _ = build_ncnn(model.graph, model.tensors)
    layers = [line.split() for line in text.splitlines()[2:]]
    read, made = [], []
    for kind, _, inputs, outputs, *words in layers:
        read += words[: int(inputs)]
        made += words[int(inputs) : int(inputs) + int(outputs)]
        assert kind != "Split" or int(outputs) > 1
    assert sorted(read) == sorted(set(made) - {"output"})
    assert made[0] == "data"
    assert made[-1] == "output"
    assert text.splitlines()[1] == f"{len(layers)} {len(made)}"


def test_the_same_graph_is_as_wide_and_as_deep(tmp_path: Path) -> None:
    model = tiny_model()
    back = parse_ncnn(tmp_path / "m.param", *build_ncnn(model.graph, model.tensors))
    traits = graph_program(model.graph, model.tensors).traits
    assert graph_program(back.graph, back.tensors).traits == traits


def test_nothing_is_left_where_nothing_can_be_written(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (tmp_path / "m.bin").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        export_ncnn(tiny_model(), tmp_path / "m.param")
    assert [p.name for p in tmp_path.iterdir()] == ["m.bin"]
