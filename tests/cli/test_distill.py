"""`fourfold distill`: what it asks of the recipe, and what it refuses in one line."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")

from fourfold.cli import train as train_command
from fourfold.cli.main import run
from fourfold.pictures.images import write_pixels
from fourfold.training.recipes import load_config
from fourfold.weights.format import save_model
from tests.models import tiny_model


@pytest.fixture
def asked(monkeypatch):
    """The config a command would have trained."""
    calls = []

    def record(config, changes, **rest):
        calls.append((load_config(config, changes=changes), rest))

    monkeypatch.setattr(train_command, "run_training", record)
    return calls


@pytest.mark.parametrize(
    ("student", "shape", "degradation"),
    [("fast", (48, 8), "bicubic"), ("photo", (64, 16), "mixed"), ("plain", (48, 8), "bicubic")],
)
def test_students_by_name(asked, student, shape, degradation):
    assert run(["distill", "srgan-x4", "--data", "a", "b", "--student", student]) == 0
    ((config, rest),) = asked
    assert (config.model.architecture, config.model.scale) == ("plain", 4)
    assert (config.model.width, config.model.depth) == shape
    assert [folder[-2:] for folder in config.data.train] == ["/a", "/b"]
    assert config.data.degradation == degradation
    assert config.teacher.model == "srgan-x4"
    assert str(rest["output"]) == f"runs/{student}-of-srgan-x4"


def test_options_and_settings(asked, tmp_path):
    save_model(tiny_model(scale=2), tmp_path / "my teacher.safetensors")
    arguments = ["distill", str(tmp_path / "my teacher.safetensors"), "--data", 'we"ird', "--set",
                 "steps=7", "teacher.tta=true", "--degradation", "real", "--resume"]  # fmt: skip
    assert run(arguments) == 0
    ((config, rest),) = asked
    assert (config.steps, config.teacher.tta, config.model.scale) == (7, True, 2)
    assert config.teacher.model == str(tmp_path / "my teacher.safetensors")
    assert config.data.train[0].endswith('we"ird')
    assert rest["resume"] is True


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["srgan-x4"], "want --data DIR"),
        (["srgan-x4", "--data", "x", "--student", "huge"], "--student: want one of fast, photo"),
        (["nothing", "--data", "x"], "nothing: no such model"),
        (["srgan-x4", "--data", "x", "--degradation", "rain"], "data.degradation: input should be"),
    ],
)
def test_refusals_take_one_line(arguments, said, capsys):
    assert run(["distill", *arguments]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_it_trains(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for i in range(2):
        coarse = rng.integers(0, 255, (8, 9, 3), dtype=np.uint8)
        write_pixels(np.kron(coarse, np.ones((8, 8, 1), np.uint8)), tmp_path / "in" / f"{i}.png")
    save_model(tiny_model(num_blocks=1), tmp_path / "t.safetensors")
    changes = ["steps=2", "batch_size=2", "device=cpu", "data.crop=32", "model.width=8",
               "model.depth=1", "teacher.lessons=9", "teacher.held_back=1", "teacher.side=10",
               "teacher.margin=1", f"teacher.cache={tmp_path / 'l'}",
               f"data.cache={tmp_path / 'c'}"]  # fmt: skip
    arguments = ["distill", str(tmp_path / "t.safetensors"), "--data", str(tmp_path / "in"), "-o",
                 str(tmp_path / "run"), "--set", *changes]  # fmt: skip
    assert run(arguments) == 0
    said = capsys.readouterr()
    assert "dB to the teacher" in said.err
    assert "upscale -n" in said.out
