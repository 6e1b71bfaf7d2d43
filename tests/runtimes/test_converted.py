"""Other projects' networks: recognised, converted once, equal to torch, and refused when hostile."""

from __future__ import annotations

import json
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.cli.main import run
from fourfold.engine.network import load_network
from fourfold.errors import MissingExtra, ModelError
from fourfold.pictures.images import write_pixels
from fourfold.runtimes.converted import open_foreign
from fourfold.runtimes.program import OnnxProgram, TorchProgram
from tests import made_networks


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("FOURFOLD_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "converted"


@pytest.mark.parametrize(
    ("name", "suffix"), [("Compact", ".pth"), ("Compact", ".safetensors"), ("Compact x1", ".pth")]
)
def test_chains_of_convolutions_are_exact_tiled_and_not(name, suffix, tmp_path, draw):
    path = made_networks.write(name, tmp_path / f"net{suffix}")
    lr = draw(60, 70)
    wanted = made_networks.by_spandrel(path, lr)
    whole = Upscaler(path, precision="fp32", tile=256)
    assert isinstance(whole.network.whole, OnnxProgram)
    assert not whole.network.blended
    assert np.abs(whole.upscale(lr) - wanted).max() <= 1
    tiled = Upscaler(path, precision="fp32", tile=32)
    assert np.abs(tiled.upscale(lr) - wanted).max() <= 1
    assert tiled.notes(60, 70) == ()


def test_once_converted_neither_torch_nor_spandrel_is_needed(tmp_path, cache, draw):
    path = made_networks.write("Compact", tmp_path / "net.pth")
    load_network(path)
    (kept,) = cache.iterdir()
    assert kept.suffix == ".onnx"
    write_pixels(draw(12, 12), tmp_path / "in.png")
    code = (
        "import sys; sys.modules['torch'] = sys.modules['spandrel'] = None\n"
        "from fourfold.cli.main import run\nsys.exit(run(['upscale', *sys.argv[1:]]))"
    )
    arguments = [str(tmp_path / "in.png"), "-n", str(path), "-o", str(tmp_path / "out.png")]
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr


def test_a_damaged_conversion_is_made_again(tmp_path, cache):
    path = made_networks.write("Compact", tmp_path / "net.pth")
    load_network(path)
    (kept,) = cache.iterdir()
    whole = kept.read_bytes()
    for damage in (b"", whole[:-500], b"\xff" * 100):
        kept.write_bytes(damage)
        assert isinstance(load_network(path).whole, OnnxProgram)
        assert len(kept.read_bytes()) == len(whole)


def test_where_no_conversion_is_possible_torch_runs_and_says_so(tmp_path, cache, draw, capfd):
    path = made_networks.write("SAFMN", tmp_path / "net.pth")
    up = Upscaler(path, precision="fp32")
    assert isinstance(up.network.whole, TorchProgram)
    assert up.choice.backend == "torch"
    lr = draw(40, 56)
    assert np.abs(up.upscale(lr) - made_networks.by_spandrel(path, lr)).max() <= 1
    assert up.upscale(draw(13, 9)).shape == (52, 36, 3)  # smaller than its rule of eight
    (note,) = up.notes(40, 56)
    assert "runs by torch: no ONNX form" in note
    assert [p.suffix for p in cache.iterdir()] == [".json"]
    assert capfd.readouterr().out == ""  # torch would print the network
    assert load_network(path).note is not None  # remembered, not tried again


def test_what_sees_everything_is_blended_and_says_so(tmp_path, draw):
    path = made_networks.write("RCAN", tmp_path / "net.pth")
    up = Upscaler(path, precision="fp32", tile=64)
    assert up.network.blended
    assert "blended" in up.notes(400, 400)[-1]
    lr = draw(30, 40)
    assert np.abs(up.upscale(lr) - made_networks.by_spandrel(path, lr)).max() <= 1


def test_grey_networks_take_the_luma(tmp_path, draw):
    path = made_networks.write("Compact grey", tmp_path / "net.pth")
    lr = draw(20, 24)
    assert Upscaler(path).upscale(lr).shape == (60, 72, 3)
    grey = lr[..., :1]
    got = Upscaler(path, precision="fp32").upscale(grey)
    assert np.abs(got - made_networks.by_spandrel(path, grey)).max() <= 1


def test_torch_runs_it_when_asked_for(tmp_path, draw):
    path = made_networks.write("Compact", tmp_path / "net.pth")
    up = Upscaler(path, backend="torch")
    assert isinstance(up.network.whole, TorchProgram)
    assert up.network.note is None


def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path, cache):
    cache.parent.mkdir()
    cache.write_bytes(b"")  # a file where the folder should be
    path = made_networks.write("Compact", tmp_path / "net.pth")
    assert isinstance(load_network(path).whole, OnnxProgram)


def test_without_spandrel_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "net.pth").write_bytes(b"x")
    monkeypatch.setattr(
        "importlib.util.find_spec", lambda name, *_: None if name == "spandrel" else object()
    )
    with pytest.raises(MissingExtra, match=r"\[models\]"):
        open_foreign(tmp_path / "net.pth")


class Payload:
    def __reduce__(self):
        return print, ("executed",)


def _tensors(path, state):
    import torch

    torch.save(state, path)


@pytest.mark.parametrize("kind", ["pickle", "program", "header", "cut", "empty", "other", "shapes"])
def test_hostile_files_are_one_line_and_nothing_runs(kind, tmp_path, cache, capsys):
    made_networks.spandrel()
    import torch

    path = tmp_path / ("net.safetensors" if kind == "header" else "net.pth")
    state = made_networks.module("Compact").state_dict()
    if kind == "pickle":
        path.write_bytes(pickle.dumps({"params": Payload()}))
    elif kind == "program":
        _tensors(path, {"params": Payload()})
    elif kind == "header":
        path.write_bytes(struct.pack("<Q", 1 << 30) + b"{}")
    elif kind == "cut":
        made_networks.write("Compact", path)
        path.write_bytes(path.read_bytes()[:-2000])
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "other":
        _tensors(path, {"a": torch.zeros(3), "b": torch.zeros(3)})
    else:
        _tensors(path, state | {"body.2.weight": torch.zeros(16, 16, 5, 5)})
    with pytest.raises(ModelError, match="net") as caught:
        load_network(path)
    assert "\n" not in str(caught.value)
    assert "executed" not in capsys.readouterr().out
    assert not cache.exists()


@pytest.mark.parametrize("suffix", [".pt", ".ckpt"])
def test_programs_of_torch_are_refused(tmp_path, suffix):
    (tmp_path / f"net{suffix}").write_bytes(b"x")
    with pytest.raises(ModelError, match="not run"):
        load_network(tmp_path / f"net{suffix}")


def test_a_picture_is_enlarged_by_a_brought_name(tmp_path, monkeypatch, draw, capsys):
    monkeypatch.setenv("FOURFOLD_MODELS_DIR", str(tmp_path / "models"))
    (tmp_path / "models").mkdir()
    made_networks.write("Compact", tmp_path / "models" / "4x-Tiny.pth")
    write_pixels(draw(12, 10), tmp_path / "in.png")
    arguments = ["upscale", str(tmp_path / "in.png"), "-n", "4x-Tiny", "--json"]
    assert run([*arguments, "-o", str(tmp_path / "out.png")]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "4x-Tiny"
    assert run(["models", "show", "4x-Tiny", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["architecture"], shown["purpose"]) == ("RealESRGAN Compact", "SR")
    assert (shown["scale"], shown["halo"], shown["license"]) == (4, 5, "unknown")


def test_sizes_that_break_a_rule_are_filled_up_as_spandrel_does(tmp_path, draw):
    path = made_networks.write("SAFMN", tmp_path / "net.pth")
    lr = draw(19, 30)
    up = Upscaler(path, precision="fp32")
    assert up.network.step == 8
    assert np.abs(up.upscale(lr) - made_networks.by_spandrel(path, lr)).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", made_networks.NETWORKS)
@pytest.mark.filterwarnings("ignore")  # spandrel's, which is the judge here
def test_every_network_equals_torch_whole_and_tiled(name, tmp_path, draw):
    path = made_networks.write(name, tmp_path / "net.pth")
    lr = draw(200, 300)[..., : 1 if "grey" in name else 3]
    wanted = made_networks.by_spandrel(path, lr)
    assert wanted.std() > 10  # a picture, not a plain
    by_default = Upscaler(path, precision="fp32")
    assert np.abs(by_default.upscale(lr) - wanted).max() <= 1
    tiled = Upscaler(path, precision="fp32", tile=64)
    assert (len(tiled.notes(200, 300)) > len(by_default.notes(200, 300))) == tiled.network.blended
    worst = np.abs(tiled.upscale(lr) - wanted).max()
    assert worst <= (made_networks.SEE_BEYOND.get(name, 3) if tiled.network.blended else 1)
