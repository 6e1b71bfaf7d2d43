"""`.pth` and `.safetensors` of ours: loaded by spandrel, and the same picture."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from fourfold import Upscaler  # noqa: E402
from fourfold.errors import ModelError  # noqa: E402
from fourfold.export.formats import export_model  # noqa: E402
from fourfold.networks.catalog import describe  # noqa: E402
from fourfold.networks.plain import Plain  # noqa: E402
from fourfold.networks.srresnet import SRResNet  # noqa: E402
from fourfold.weights.format import Model  # noqa: E402
from fourfold.weights.importing import import_torch  # noqa: E402
from tests import made_networks  # noqa: E402
from tests.export.test_ncnn import msrresnet  # noqa: E402
from tests.models import tiny_model  # noqa: E402


def srresnet(scale: int = 4) -> Model:
    torch.manual_seed(0)
    network = SRResNet(scale=scale, num_blocks=2, width=8).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 2)
    return describe(network, name="tiny")


def plain(scale: int = 4) -> Model:
    torch.manual_seed(0)
    network = Plain(scale=scale, width=8, depth=2)
    torch.nn.init.normal_(network.tail.weight, std=0.05)
    return describe(network, name="tiny")


MADE = {
    "srresnet": (srresnet, "SRResNet"),
    "srresnet x2": (lambda: srresnet(2), "SRResNet"),
    "msrresnet": (msrresnet, "MSRResNet"),
    "plain": (plain, "RealESRGAN Compact"),
    "plain x3": (lambda: plain(3), "RealESRGAN Compact"),
}


@pytest.mark.parametrize("name", MADE)
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_spandrel_loads_it_and_gives_the_same_picture(name, suffix, tmp_path, draw, monkeypatch):
    monkeypatch.setenv("FOURFOLD_CACHE_DIR", str(tmp_path / "cache"))
    spandrel = made_networks.spandrel()
    import fourfold.spandrel  # noqa: F401  its import registers

    make, architecture = MADE[name]
    model, lr = make(), draw(20, 27)
    path = tmp_path / f"m{suffix}"
    assert export_model(model, path) == 0
    found = spandrel.ModelLoader().load_from_file(path)
    assert (found.architecture.name, found.scale) == (architecture, model.scale)
    up = Upscaler(model, precision="fp32", consistency=False)
    assert np.abs(up.upscale(lr) - made_networks.by_spandrel(path, lr)).max() <= 1


@pytest.mark.parametrize("name", ["srresnet", "srresnet x2", "msrresnet"])
@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_it_comes_back_as_the_same_model(name, suffix, tmp_path):
    model = MADE[name][0]()
    export_model(model, tmp_path / f"m{suffix}")
    back = import_torch(tmp_path / f"m{suffix}")
    assert (back.architecture, back.scale, back.sha256) == (
        model.architecture,
        model.scale,
        model.sha256,
    )


def test_it_runs_here_whatever_spandrel_knows(tmp_path, draw, monkeypatch):
    monkeypatch.setattr("fourfold.weights.readers.foreign._spandrel", _unknown)
    model, lr = srresnet(), draw(20, 27)
    for suffix in (".pth", ".safetensors"):
        export_model(model, tmp_path / f"m{suffix}")
        up = Upscaler(tmp_path / f"m{suffix}", precision="fp32", consistency=False)
        wanted = Upscaler(model, precision="fp32", consistency=False).upscale(lr)
        assert np.array_equal(up.upscale(lr), wanted)


def _unknown():
    raise ModelError("no such network")


def test_weights_that_a_layout_cannot_hold_are_refused(tmp_path):
    slopes = np.full(8, 0.3, np.float32)
    leaking = msrresnet()
    leaking = replace(leaking, tensors={**leaking.tensors, "head.slope": slopes[:4]})
    for model in (tiny_model(), leaking):  # a tail that is no rewritten one; another slope
        with pytest.raises(ModelError, match=r"hold exactly; \.onnx and \.param hold any"):
            export_model(model, tmp_path / "m.pth")
    with pytest.raises(ModelError, match="want a network that torch files have a layout for"):
        export_model(replace(tiny_model(), architecture="other"), tmp_path / "m.pth")
    assert list(tmp_path.iterdir()) == []
