"""`fourfold evaluate` from the command line, on tiny pictures, and the papers' figures."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from fourfold.cli.main import run
from fourfold.pictures.images import write_pixels
from tests.made_metrics import write_dists_archive, write_lpips_files

METRICS = os.environ.get("FOURFOLD_METRICS", "")


@pytest.fixture(autouse=True)
def no_weights(monkeypatch):
    monkeypatch.delenv("FOURFOLD_METRICS", raising=False)


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
        (["-n", "bicubic", "--lpips", "alex", "--data", "{folder}"], 2, "set FOURFOLD_METRICS"),
        (["-n", "bicubic", "--dists", "--data", "{folder}"], 2, "set FOURFOLD_METRICS"),
        (["-n", "bicubic", "--degrade", "rain", "--data", "{folder}"], 2, "--degrade: want real"),
    ],
)
def test_wrong_calls_are_one_line_before_any_work(folder, capsys, arguments, code, says):
    assert run(["evaluate", *(a.format(folder=folder) for a in arguments)]) == code
    captured = capsys.readouterr()
    assert says in captured.err
    assert len(captured.err.splitlines()) == 1
    assert captured.out == ""


def test_damaged_inputs_score_alike_in_two_runs(folder, capsys):
    clean, first, again = (
        json.loads(out)
        for arguments in ([], *[["--degrade", "real", "--seed", "5"]] * 2)
        if run(["evaluate", "-n", "bicubic", "--data", str(folder), "--json", *arguments]) == 0
        and (out := capsys.readouterr().out)
    )
    for document in (clean, first, again):
        for key in ("seconds", "megapixels_per_second"):
            del document["rows"][0][key]
    assert first == again
    row = first["rows"][0]
    assert (row["degradation"], row["seed"]) == ("real", 5)
    assert row["psnr_y"] < clean["rows"][0]["psnr_y"]
    assert row["lr_psnr"] == row["consistency_psnr"]


def test_named_weights_add_columns(folder, tmp_path, monkeypatch, capsys):
    pytest.importorskip("torch")
    write_lpips_files(tmp_path, "alex", "vgg")
    write_dists_archive(tmp_path)
    monkeypatch.setenv("FOURFOLD_METRICS", str(tmp_path))
    report = tmp_path / "r.html"
    arguments = ["evaluate", "-n", "bicubic", "--data", str(folder), "--report", str(report)]
    arguments += ["--degrade", "noise:9"]
    assert run([*arguments, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["lpips"] is None  # 37 rows less the border are too few for AlexNet
    assert 0 < row["dists"] < 1
    assert '<th scope="col">dists</th>' in report.read_text()
    assert "Inputs damaged: noise:9, seed 0" in report.read_text()
    monkeypatch.delenv("FOURFOLD_METRICS")
    assert run(arguments) == 0
    assert "noise:9 with seed 0" in capsys.readouterr().out


def test_scoring_imports_no_torch_and_no_reference(folder):
    code = (
        "import sys; sys.modules.update(torch=None, skimage=None, scipy=None);"
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
        ("Set5", "srgan-x4", 30.48),
        ("Set14", "srgan-x4", 27.44),
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


# Of the weights published before these, others had measured what we had: docs/scoring.md.
@pytest.mark.slow
@pytest.mark.parametrize(
    ("dataset", "options", "lpips"),
    [
        ("Set5", ["--no-consistency"], 0.0766),
        ("Set14", ["--no-consistency"], 0.1423),
        ("Set5", [], 0.0756),
        ("Set14", [], 0.1418),
    ],
)
def test_lpips_of_the_benchmark_sets(bench, capsys, monkeypatch, dataset, options, lpips):
    if not METRICS:
        pytest.skip("FOURFOLD_METRICS does not name the weights of LPIPS")
    monkeypatch.setenv("FOURFOLD_METRICS", METRICS)
    arguments = ["evaluate", "-n", "srgan-x4", "--data", str(bench / dataset), "--lpips", "alex"]
    assert run([*arguments, *options, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    (row,) = [row for row in rows if row["model"] == "srgan-x4"]
    assert row["lpips"] == pytest.approx(lpips, abs=0.0005)
    published = {row["model"]: row["lpips"] for row in rows if row.get("published")}
    assert published["ESRGAN (SPSR)"] == {"Set5": 0.0748, "Set14": 0.1329}[dataset]
