"""`-v` and `FOURFOLD_LOG` say what is read, chosen and written; without them nothing is said."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from fourfold.pictures.images import write_pixels
from fourfold.weights.format import save_model
from tests.models import tiny_model

FROM_PYTHON = (
    "import fourfold, sys; fourfold.upscale_file(*sys.argv[1:3], model=sys.argv[3], overwrite=True)"
)
STEPS = ("read {photo}: png, 14x10", "model {model} is", " in fp32: ", "tiles of", "wrote {result}")


@pytest.fixture(scope="module")
def names(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("logs")
    write_pixels(np.full((10, 14, 3), 90, np.uint8), folder / "photo.png")
    save_model(tiny_model(), folder / "tiny.safetensors")
    files = {"photo": "photo.png", "model": "tiny.safetensors", "result": "result.png"}
    return {key: str(folder / file) for key, file in files.items()}


def said(arguments: list[str], level: str | None) -> tuple[int, str]:
    """Exit code and standard error of a program that has this level in its environment."""
    environment = {key: text for key, text in os.environ.items() if key != "FOURFOLD_LOG"}
    if level is not None:
        environment["FOURFOLD_LOG"] = level
    command = [sys.executable, *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, timeout=240
    )
    return done.returncode, done.stderr


def command_line(names: dict[str, str], *flags: str) -> list[str]:
    files = [names["photo"], "-o", names["result"], "-n", names["model"], "--overwrite"]
    return ["-m", "fourfold", "upscale", *files, "--precision", "fp32", *flags]


def test_every_step_is_said_by_the_command(names: dict[str, str]) -> None:
    code, lines = said(command_line(names, "-v"), None)
    assert code == 0
    for step in STEPS:
        assert step.format(**names) in lines
    assert ".part" not in lines


def test_and_to_programs(names: dict[str, str]) -> None:
    arguments = [names["photo"], names["result"], names["model"]]
    code, lines = said(["-c", FROM_PYTHON, *arguments], "DEBUG")
    assert code == 0
    assert f"wrote {names['result']}" in lines
    assert said(["-c", FROM_PYTHON, *arguments], None) == (0, "")


def test_nothing_is_said_unasked(names: dict[str, str]) -> None:
    assert said(command_line(names), None) == (0, "")


def test_a_level_that_is_none_is_one_line(names: dict[str, str]) -> None:
    code, lines = said(command_line(names), "loud")
    assert code == 2
    assert lines == "fourfold: FOURFOLD_LOG: want debug, info, warning, error, got 'loud'\n"
