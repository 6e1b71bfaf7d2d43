"""`fourfold models`, `doctor`, `bench` and the command itself."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from fourfold.cli.main import run
from fourfold.weights.format import load_model, save_model
from fourfold.weights.zoo import get_model
from tests.models import tiny_model


def test_list_and_show(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "list"]) == 0
    listed = capsys.readouterr().out
    assert "srgan-x4" in listed
    assert "srresnet-x4" in listed
    assert run(["models", "show", "srgan-x4", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["scale"], shown["halo"], shown["license"]) == (4, 40, "Apache-2.0")


def test_a_run_is_shown_as_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    training = {
        "step": 7,
        "scores": {"Set5": {"psnr_y": 31.5, "ssim_y": 0.9}},
        "config": {"steps": 9, "losses": {"content": "vgg54", "content_weights": ""}},
    }
    model = replace(tiny_model(), name="[red]mine", training=training)
    save_model(model, tmp_path / "run" / "model.safetensors")
    assert run(["models", "show", str(tmp_path / "run")]) == 0
    shown = capsys.readouterr().out
    for words in ("[red]mine", "psnr_y 31.5", "trained: step", "losses.content", "vgg54"):
        assert words in shown
    assert "{" not in shown
    assert "content_weights" not in shown
    assert run(["models", "show", str(tmp_path / "run"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["training"] == training


def test_blend_ends_equal_the_models(tmp_path: Path) -> None:
    for texture, name in ((0, "srresnet-x4"), (1, "srgan-x4")):
        out = str(tmp_path / "b.safetensors")
        arguments = ["models", "blend", "srresnet-x4", "srgan-x4", "--texture", str(texture)]
        assert run([*arguments, "-o", out]) == 0
        assert load_model(Path(out)).sha256 == get_model(name).sha256


def test_export_then_show_what_was_checked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    save_model(tiny_model(), tmp_path / "m.safetensors")
    out = tmp_path / "m.onnx"
    assert run(["models", "export", str(tmp_path / "m.safetensors"), "-o", str(out)]) == 0
    assert out.is_file()
    assert "differs from torch" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["show", "nothing"], 2),
        (["import", "nothing.h5", "-o", "x.safetensors"], 1),
        (["export", "srgan-x4", "-o", "x.txt"], 2),
        (["blend", "srgan-x4", "srresnet-x4", "--texture", "3", "-o", "x.safetensors"], 2),
    ],
)
def test_errors_are_one_line(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["models", *arguments]) == code
    assert capsys.readouterr().err.count("\n") == 1


def test_doctor_says_what_auto_picks(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["auto"]["backend"] in ("openvino", "torch")
    assert facts["auto"]["because"]
    assert run(["doctor"]) == 0
    assert "because" in capsys.readouterr().out


def test_bench_compares_ways_in_turns(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_model(tiny_model(), tmp_path / "m.safetensors")
    arguments = ["bench", "-n", str(tmp_path / "m.safetensors"), "--size", "32", "--rounds", "1"]
    assert run([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert "openvino fp32" in {rate["name"] for rate in report["rates"]}
    assert run(arguments) == 0


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.startswith("fourfold ")
    assert run(["--help"]) == 0
    assert "upscale" in capsys.readouterr().out
