"""`fourfold upscale` with addresses, shards and estimates."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold.cli.main import run
from fourfold.files.addresses import open_store
from fourfold.pictures.images import write_pixels
from fourfold.weights.format import save_model
from tests.models import tiny_model


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """Two pictures and a broken one."""
    save_model(tiny_model(scale=2), tmp_path / "tiny.safetensors")
    for name in ("a.png", "x/b.png"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        write_pixels(np.zeros((8, 8, 3), np.uint8), tmp_path / "in" / name)
    (tmp_path / "in" / "bad.png").write_bytes(b"nonsense")
    return ["upscale", str(tmp_path / "in"), "-r", "-n", str(tmp_path / "tiny.safetensors")]


def test_results_go_to_an_address(command: list[str], tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("fsspec")
    out = f"memory://{tmp_path.name}/out"
    assert run([*command, "-o", out]) == 1
    said = capsys.readouterr()
    assert said.out.splitlines()[0].split()[0] in ("a_x2.png", "x/b_x2.png")
    assert "2 done" in said.err
    assert f"1 of 3 failed; the list is {out}/_fourfold/failed.jsonl" in said.err
    assert "bad.png" in said.err
    assert open_store(out).stat("x/b_x2.png") is not None
    (tmp_path / "in" / "bad.png").unlink()
    assert run([*command, "-o", out, "--json"]) == 0
    said = capsys.readouterr()
    assert said.out == ""
    assert "2 were there" in said.err


def test_pictures_come_from_an_address(command: list[str], tmp_path: Path, capsys: Any) -> None:
    pytest.importorskip("fsspec")
    store = open_store(f"memory://{tmp_path.name}/in", write=True)
    store.publish(tmp_path / "in" / "a.png", "x/a.png")
    address, out = f"memory://{tmp_path.name}/in/x/a.png", tmp_path / "out"
    assert run(["upscale", address, "-o", str(out), *command[3:], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["output"] == "a_x2.png"
    assert (out / "a_x2.png").is_file()


def test_shares_of_a_local_folder(command: list[str], tmp_path: Path, capsys: Any) -> None:
    codes = [run([*command, "-o", str(tmp_path / "out"), "--shard", f"{i}/2"]) for i in (1, 2)]
    assert sorted(codes) == [0, 1]
    assert len(list((tmp_path / "out").rglob("*.png"))) == 2


def test_an_estimate_is_in_hours(command: list[str], tmp_path: Path, capsys: Any) -> None:
    arguments = [*command, "-o", str(tmp_path / "out"), "--shard", "1/1", "--dry-run"]
    assert run(arguments) == 0
    assert "machine-hours" in capsys.readouterr().out
    assert run([*arguments, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["inputs"], said["todo"], said["sampled"]) == (3, 3, 2)
    assert said["hours"] == said["machine_hours"] > 0
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--shard", "3/2", "-o", "out"], "I/N"),
        (["--shard", "1/2"], "-o FOLDER"),
        (["--workers", "1:2"], "--engine ray"),
        (["--engine", "slurm", "-o", "out"], "local or ray"),
        (["-o", "https://example.invalid/out"], "only read"),
        (["also", "--shard", "1/2", "-o", "out"], "one folder"),
    ],
)
def test_wrong_calls(command: list[str], more: list[str], said: str, capsys: Any) -> None:
    pytest.importorskip("fsspec")
    assert run([*command, *more]) == 2
    assert said in capsys.readouterr().err


def test_without_the_extras_they_are_named(
    command: list[str], tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ray", "fsspec", "fsspec.core"):
        monkeypatch.setitem(sys.modules, name, None)
    assert run([*command, "-o", "s3://bucket/out"]) == 2
    assert ".[remote]" in capsys.readouterr().err
    assert run([*command, "-o", str(tmp_path / "out"), "--engine", "ray"]) == 2
    error = capsys.readouterr().err
    assert ".[cluster]" in error
    assert error.count("\n") == 1
