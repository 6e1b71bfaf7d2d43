"""`fourfold play` hands a stream to a player that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from fourfold.cli import play
from fourfold.cli.main import run
from fourfold.weights.format import save_model
from tests.made_films import make_film
from tests.models import tiny_model

pytest.importorskip("av")


def player(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """An `mpv` of ours, and nothing else."""
    program = folder / "mpv"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(play.shutil, "which", lambda name: str(program) if name == "mpv" else None)


@pytest.fixture
def film(tmp_path: Path) -> list[str]:
    save_model(tiny_model(scale=2, num_blocks=1, width=4), tmp_path / "m.safetensors")
    film = make_film(tmp_path / "film.mp4", stamps=range(300), sound=None)
    return [str(film), "-n", str(tmp_path / "m.safetensors")]


def test_no_player_is_one_line(
    film: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(play.shutil, "which", lambda _: None)
    assert run(["play", *film]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run(["play", *film, "--player", "xine"]) == 2
    assert "want mpv, ffplay, vlc, got 'xine'" in capsys.readouterr().err


def test_the_player_gets_the_film(
    film: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player(tmp_path, monkeypatch, f"cat > {tmp_path}/shown.mkv")
    assert run(["play", *film, "--frames", "3"]) == 0
    import av

    with av.open(str(tmp_path / "shown.mkv")) as shown:
        assert len(list(shown.decode(video=0))) == 3


def test_closing_the_player_is_no_failure(
    film: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    player(tmp_path, monkeypatch, "head -c 100 > /dev/null")
    assert run(["play", *film]) == 0


def test_what_fails_before_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    player(tmp_path, monkeypatch, "cat > /dev/null")
    assert run(["play", str(tmp_path / "missing.mp4")]) == 1
    assert "missing.mp4" in capfd.readouterr().err


def test_a_player_that_cannot_show_is_a_failure(
    film: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    player(tmp_path, monkeypatch, "exit 1")
    assert run(["play", *film]) == 1
    assert "mpv: could not show the film (code 1)" in capsys.readouterr().err
