"""`fourfold evaluate` from the command line, on tiny pictures, and the papers' figures."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from fourfold.cli.main import run
from fourfold.pictures.images import write_pixels


@pytest.fixture
def folder(tmp_path, draw):
    for seed in range(2):
        write_pixels(draw(37, 43, seed), tmp_path / "mine" / f"{seed}.png")
    return tmp_path / "mine"


def test_bicubic_alone_needs_no_network(folder, capsys):
    assert run(["evaluate", "-n", "bicubic", "-s", "2", "--data", str(folder), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (row,) = document["rows"]
    assert (row["model"], row["dataset"], row["scale"]) == ("bicubic", "mine", 2)
    assert document["protocol"]["shave"] == "scale pixels on each side"


def test_models_are_scored_beside_bicubic(folder, tmp_path, capsys):
    out = {name: tmp_path / name for name in ("r.html", "p.csv")}
    arguments = ["evaluate", "-n", "srresnet-x4", "srgan-x4", "--data", str(folder), "--json"]
    arguments += ["--report", str(out["r.html"]), "--csv", str(out["p.csv"])]
    assert run(arguments) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [row["model"] for row in rows] == ["bicubic", "srresnet-x4", "srgan-x4"]
    assert len(rows[1]["weights_sha256"]) == 64
    assert rows[1]["settings"]["precision"] in ("fp32", "bf16", "fp16")
    assert rows[1]["consistency_psnr"] > rows[0]["consistency_psnr"]
    assert out["r.html"].read_text().startswith("<!doctype html>")
    assert len(out["p.csv"].read_text().splitlines()) == 1 + 2 * 3


def test_the_table_names_models_and_files(folder, tmp_path, capsys):
    csv = tmp_path / "p.csv"
    assert run(["evaluate", "-n", "bicubic", "--data", str(folder), "--csv", str(csv)]) == 0
    out = capsys.readouterr().out
    assert "PSNR-Y" in out
    assert "mine x4, 2 pictures" in out
    assert "p.csv" in out


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["-n", "bicubic"], 2, "want --data DIR"),
        (["-n", "nothing", "--data", "{folder}"], 2, "nothing: no such model"),
        (["-n", "bicubic", "--data", "{folder}/none"], 1, "no such folder"),
        (["-n", "srgan-x4", "-s", "2", "--data", "{folder}"], 2, "enlarges 4 times"),
        (["-n", "srgan-x4", "--tile", "big", "--data", "{folder}"], 2, "--tile: want a number"),
        (["-n", "bicubic", "--lpips", "resnet", "--data", "{folder}"], 2, "want one of alex, vgg"),
    ],
)
def test_wrong_calls_are_one_line_before_any_work(folder, capsys, arguments, code, says):
    assert run(["evaluate", *(a.format(folder=folder) for a in arguments)]) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_scoring_imports_no_torch_and_no_reference(folder):
    code = (
        "import sys; sys.modules.update(torch=None, skimage=None, scipy=None, lpips=None);"
        "from fourfold.cli.main import run;"
        f"sys.exit(run(['evaluate', '-n', 'bicubic', '--data', {str(folder)!r}]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr


# Known for these weights and this protocol; the papers' rows lie within 0.1 dB of SRResNet's.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "model", "psnr_y"),
    [
        ("Set5", "srresnet-x4", 32.01),
        ("Set14", "srresnet-x4", 28.54),
        ("Set5", "srgan-x4", 29.19),
        ("Set14", "srgan-x4", 26.18),
        ("Set5", "bicubic", 28.43),
        ("Set14", "bicubic", 26.09),
    ],
)
def test_scores_on_the_benchmark_sets(bench, capsys, dataset, model, psnr_y):
    arguments = ["evaluate", "-n", model, "--data", str(bench / dataset), "--no-consistency"]
    assert run([*arguments, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    (row,) = [row for row in rows if row["model"] == model]
    assert row["psnr_y"] == pytest.approx(psnr_y, abs=0.02)
