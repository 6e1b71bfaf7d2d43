"""Whatever is catalogued trains, is kept, runs in pieces, leaves as ONNX and is timed."""

from __future__ import annotations

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fourfold.engine.bench import REFERENCE, measure  # noqa: E402
from fourfold.engine.upscaler import Upscaler  # noqa: E402
from fourfold.errors import ModelError  # noqa: E402
from fourfold.export.onnx import export_onnx  # noqa: E402
from fourfold.networks.catalog import CATALOG, describe, make_network, restore_network  # noqa: E402
from fourfold.networks.plain import Plain  # noqa: E402
from fourfold.runtimes.torch import run_graph  # noqa: E402
from fourfold.weights.format import blend_models, load_model, save_model  # noqa: E402
from tests.models import small_tiles  # noqa: E402

SMALL = {
    "srresnet": {"num_blocks": 1, "width": 8},
    "plain": {"depth": 2, "width": 8},
}


def network_of(name, scale=4, seed=0, **changes):
    """A small catalogued network whose every weight is at work."""
    torch.manual_seed(seed)
    network = make_network(CATALOG[name].settings(scale=scale, **{**SMALL[name], **changes})).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return network


def model_of(name, **options):
    return describe(network_of(name, **options), name=f"small-{name}", license="MIT")


def scales_of(name):
    return CATALOG[name].settings.model_fields["scale"].annotation.__args__


every = pytest.mark.parametrize("name", CATALOG)
every_scale = pytest.mark.parametrize(
    ("name", "scale"), [(name, scale) for name in CATALOG for scale in scales_of(name)]
)


def test_every_architecture_is_tried():
    assert SMALL.keys() == CATALOG.keys()


def test_plain_comes_in_four_scales():
    assert scales_of("plain") == (2, 3, 4, 8)


@every_scale
def test_the_graph_computes_what_the_module_does(name, scale):
    network = network_of(name, scale)
    model = describe(network, name="x")
    lr = torch.rand(2, 3, 7, 9)
    tensors = {key: torch.from_numpy(value) for key, value in model.tensors.items()}
    with torch.inference_mode():
        (found,) = run_graph(model.graph, tensors, [lr])
        wanted = network(lr)
    assert found.shape == (2, 3, 7 * scale, 9 * scale)
    assert torch.allclose(found, wanted, atol=1e-5)
    assert model.graph.scale == scale


@every
def test_a_model_file_comes_back_as_a_network(name, tmp_path):
    model = model_of(name)
    save_model(model, tmp_path / "m.safetensors")
    loaded = load_model(tmp_path / "m.safetensors")
    assert loaded.graph == model.graph
    again = restore_network(loaded)
    lr = torch.rand(1, 3, 6, 6)
    with torch.inference_mode():
        assert torch.allclose(again(lr), network_of(name)(lr), atol=1e-5)
    assert describe(again, name="x").sha256 == model.sha256


@every
def test_a_model_file_runs_without_its_architecture(name, tmp_path):
    from dataclasses import replace

    model = model_of(name)
    strange = replace(model, architecture="of-another-version")
    save_model(strange, tmp_path / "m.safetensors")
    picture = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    ours, theirs = (
        Upscaler(m, precision="fp32", backend="openvino").upscale(picture)
        for m in (model, tmp_path / "m.safetensors")
    )
    assert (ours == theirs).all()
    with pytest.raises(ModelError, match=r"of-another-version.*does not train; want one of"):
        restore_network(load_model(tmp_path / "m.safetensors"))


@every_scale
def test_tiles_equal_the_whole(name, scale):
    picture = np.random.default_rng(0).random((45, 37, 3), np.float32)
    up = Upscaler(model_of(name, scale=scale), precision="fp32", backend="torch", tile=4096)
    whole = up.upscale(picture)
    tiled = small_tiles(up, 16).upscale(picture)
    assert np.abs(tiled - whole).max() < 1e-5


@every
def test_large_tiles_run_in_parts_and_stay_the_same(name, monkeypatch):
    from fourfold.engine import windows

    picture = np.random.default_rng(0).random((45, 37, 3), np.float32)
    whole = Upscaler(model_of(name), precision="fp32", tile=4096).upscale(picture)
    monkeypatch.setattr(windows, "WHOLE_SIDE", 8)
    monkeypatch.setattr(windows, "UPSAMPLER_SIDE", 16)
    parts = Upscaler(model_of(name), precision="fp32", tile=4096).upscale(picture)
    assert np.abs(parts - whole).max() < 1e-5


@every_scale
def test_it_exports_as_onnx(name, scale, tmp_path):
    model = model_of(name, scale=scale)
    assert export_onnx(model, tmp_path / "m.onnx") < 1e-4
    picture = np.random.default_rng(0).integers(0, 256, (9, 8, 3), np.uint8)
    ours = Upscaler(model, precision="fp32").upscale(picture).astype(int)
    exported = Upscaler(tmp_path / "m.onnx", precision="fp32").upscale(picture)
    assert np.abs(ours - exported).max() <= 1


@every
def test_it_is_timed_beside_its_own_module(name, tmp_path):
    save_model(model_of(name), tmp_path / "m.safetensors")
    report = measure(tmp_path / "m.safetensors", size=16, rounds=1)
    assert {rate.name for rate in report.rates} >= {REFERENCE, "openvino fp32"}
    assert all(rate.gflops > 0 for rate in report.rates)


@every
def test_two_of_a_shape_blend(name):
    first, second = model_of(name), model_of(name, seed=1)
    half = blend_models(first, second, texture=0.5)
    assert half.graph == first.graph
    key = next(iter(first.tensors))
    assert np.allclose(half.tensors[key], (first.tensors[key] + second.tensors[key]) / 2)


@every
def test_the_command_line_takes_it(name, tmp_path, capsys):
    from fourfold.cli.main import run

    save_model(model_of(name), tmp_path / "m.safetensors")
    assert run(["models", "show", str(tmp_path / "m.safetensors"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["architecture"] == name
    copy = str(tmp_path / "copy.safetensors")
    arguments = ["models", "import", str(tmp_path / "m.safetensors"), "-o", copy, "--half"]
    assert run(arguments) == 0
    assert load_model(tmp_path / "copy.safetensors").graph == model_of(name).graph


@pytest.mark.parametrize(
    ("width", "floats"),
    [
        (8, 3 * 48),  # residual, base and result, at 16 result pixels of 3 colours each
        (96, 3 + 2 * 96),  # the picture, kept for the skip, and both ends of a convolution
    ],
)
def test_tile_memory_comes_from_the_tensors(width, floats):
    model = model_of("plain", width=width)
    assert model.graph.live_floats(model.tensors) == floats


def test_plain_begins_as_its_skip():
    torch.manual_seed(0)
    network = Plain(scale=3, width=8, depth=2)
    lr = torch.rand(1, 3, 5, 4)
    nearest = torch.nn.functional.interpolate(lr, scale_factor=3, mode="nearest")
    with torch.inference_mode():
        assert (network(lr) - nearest).abs().max() < 0.02


def test_plain_gives_fp32_under_autocast():
    with torch.autocast("cpu", torch.bfloat16), torch.inference_mode():
        sr = Plain(width=8, depth=1)(torch.linspace(0, 1, 3 * 64 * 64).reshape(1, 3, 64, 64))
    assert sr.dtype == torch.float32
    assert sr.unique().numel() > 2000


def test_a_file_of_another_shape_than_it_says_is_named():
    from dataclasses import replace

    model = replace(model_of("plain"), hyperparameters={"width": 9, "depth": 2})
    with pytest.raises(ModelError, match="not those of the plain it says it is"):
        restore_network(model)
