"""`fourfold train` as typed: errors are one line and leave nothing behind."""

from __future__ import annotations

import pytest

from fourfold.cli.main import run
from fourfold.pictures.images import write_pixels


@pytest.mark.parametrize(
    ("line", "code", "said"),
    [
        (["tiny", "--set", "data.crp=5"], 2, "unknown setting data.crp; did you mean 'crop'?"),
        (["tinny"], 2, "tinny: no such recipe, file or run folder; did you mean 'tiny'?"),
        (["tiny"], 2, "data.train: want a folder of pictures, got none"),
        (["tiny", "--set", "data.train=nowhere"], 1, "nowhere: want a folder of pictures"),
        (["tiny", "--set", "data.train=.", "--from", "none.safetensors"], 2, "no such model"),
        (["tiny", "--set", "model.scale=3", "--set", "data.train=."], 2, "model.scale: input"),
    ],
)
def test_a_wrong_call_is_one_line(line, code, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["train", *line]) == code
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_run_is_used_at_once(draw, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for i in range(2):
        write_pixels(draw(64, 72, i), tmp_path / "photos" / f"{i}.png")
    changes = ["data.train=photos", "data.valid=photos", "data.cache=cache", "steps=2"]
    flags = [flag for change in changes for flag in ("--set", change)]
    assert run(["train", "tiny", *flags]) == 0
    assert "use it with: fourfold upscale -n runs/tiny" in capsys.readouterr().out
    assert run(["upscale", "photos/0.png", "-n", "runs/tiny", "-o", "big.png"]) == 0
    assert (tmp_path / "big.png").is_file()
    assert run(["train", "runs/tiny", "--resume", "--set", "steps=3"]) == 0
    assert "resumed from step 2" in capsys.readouterr().err
