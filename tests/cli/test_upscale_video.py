"""`fourfold upscale` with films, as people call it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

import fourfold
from fourfold.cli.main import run
from fourfold.weights.format import save_model
from tests.made_films import in_memory, make_film
from tests.models import tiny_model

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(tiny_model(scale=2, num_blocks=1, width=4), path)
    return str(path)


def test_a_film_to_a_named_frame(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film(tmp_path / "film.mp4", stamps=range(6))
    assert run(["upscale", str(film), "-n", model, "--fit", "480p", "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["output"] == str(tmp_path / "film_480p.mp4")
    assert (outcome["width"], outcome["height"], outcome["frames"]) == (640, 480, 6)
    assert run(["upscale", str(film), "-n", model, "--fit", "480p"]) == 0
    assert "exists" in capsys.readouterr().err


def test_films_without_a_name_get_the_steadier_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fourfold.engine import upscaler

    loaded = []
    load = upscaler.load_network
    monkeypatch.setattr(
        upscaler,
        "load_network",
        lambda model, **options: loaded.append(model) or load(model, **options),
    )
    film = make_film(tmp_path / "film.mp4", stamps=range(1), size=(16, 16))
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    assert run(["upscale", str(film), str(tmp_path / "a.png"), "-s", "2"]) == 0
    assert loaded == ["srresnet-fast-x4", "srgan-x4"]  # each once, as the inputs are given
    loaded.clear()
    assert run(["upscale", str(film), "--dry-run", "-s", "3"]) == 0
    assert run(["upscale", str(film), "--dry-run", "-s", "3", "-n", "srgan-x4"]) == 0
    fourfold.upscale_video(film, tmp_path / "o.mp4", scale=1)
    assert loaded == ["srresnet-fast-x4", "srgan-x4", "srresnet-fast-x4"]


def test_an_unknown_length_is_said_to_be_a_guess(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(in_memory(format="matroska"))
    assert run(["upscale", str(film), "-n", model, "--dry-run"]) == 0
    assert "perhaps 12 (by its size) frames  about 0:0" in capsys.readouterr().out


def test_dry_run_writes_nothing(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film(tmp_path / "film.mp4", stamps=range(24))
    command = ["upscale", str(film), "-n", model, "--dry-run", "--end", "1"]
    assert run([*command, "--json"]) == 0
    outcome = json.loads(capsys.readouterr().out)
    assert outcome["status"] == "planned"
    assert outcome["frames"] == 12
    assert outcome["seconds"] > 0
    assert run(command) == 0
    assert "12 frames  about 0:0" in capsys.readouterr().out
    assert run([*command, "-o", str(tmp_path / "new" / "folder") + "/"]) == 0
    assert "folder/film_x2.mp4" in capsys.readouterr().out
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]


def test_a_folder_of_films_and_a_broken_one(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    make_film(folder / "good.mkv", stamps=range(3))
    (folder / "broken.mp4").write_bytes(b"no film")
    assert run(["upscale", str(folder), "-n", model, "-o", str(tmp_path / "out")]) == 1
    error = capsys.readouterr().err
    assert "broken.mp4: not a readable film" in error
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good_x2.mkv"]


def test_results_in_a_folder_are_no_inputs(tmp_path: Path, model: str) -> None:
    make_film(tmp_path / "film.avi", codec="mpeg4", sound=None, stamps=range(2))
    for _ in range(2):
        assert run(["upscale", str(tmp_path), "-n", model]) == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.avi", "film_x2.mp4"]


def test_a_damaged_film_is_kept_and_said(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film(tmp_path / "film.mkv", stamps=range(24), options={"g": "4"})
    content = bytearray(film.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 400] = bytes(400)
    film.write_bytes(content)
    out = tmp_path / "out.mkv"
    code = run(["upscale", str(film), "-n", model, "-o", str(out)])
    said = capsys.readouterr().err
    assert out.exists()
    assert code == (1 if "kept" in said else 0)


def test_wrong_options_are_one_line(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film(tmp_path / "film.mp4", stamps=range(3))
    for options in (["--codec", "vp8"], ["--crf", "70"], ["--start", "x"], ["-o", "out.avi"]):
        assert run(["upscale", str(film), "-n", model, *options]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_flicker_of_a_model_on_a_film(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film(tmp_path / "film.mp4", stamps=range(4))
    command = ["evaluate", "-n", model, "--film", str(film), "--film-frames", "3"]
    assert run([*command, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    (row,) = found["rows"]
    assert row["film"] == "film.mp4"
    assert 0 < row["still_share"] <= 1
    assert run(command) == 0
    assert "film.mp4  tiny" in capsys.readouterr().out


def test_two_films_never_become_one_file(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    make_film(tmp_path / "film.avi", codec="mpeg4", sound=None, stamps=range(2))
    make_film(tmp_path / "film.mp4", sound=None, stamps=range(3))
    assert run(["upscale", str(tmp_path), "-n", model, "--overwrite"]) == 1
    error = capsys.readouterr().err
    assert "film_x2.mp4 is the result of" in error
    assert "use another --suffix, --ext or -o" in error
    with av.open(str(tmp_path / "film_x2.mp4")) as film:
        assert film.streams.video[0].frames == 2  # the first one's


def test_output_that_is_a_file_without_suffix(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    film = make_film(tmp_path / "film.mp4", stamps=range(2))
    (tmp_path / "taken").write_text("something")
    assert run(["upscale", str(film), "-n", model, "-o", str(tmp_path / "taken")]) == 2
    assert "got an existing file" in capsys.readouterr().err
    assert (tmp_path / "taken").read_text() == "something"
