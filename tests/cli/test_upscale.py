"""`fourfold upscale` as people call it; a tiny model keeps it quick."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fourfold.cli.main import run
from fourfold.pictures.images import read_pixels, write_pixels
from fourfold.weights.format import save_model
from tests.models import tiny_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_model(tiny_model(), path)
    return str(path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (10, 14, 3), np.uint8)
    write_pixels(pixels, tmp_path / "photo.png")
    return tmp_path / "photo.png"


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    error = capsys.readouterr().err
    assert error.count("\n") == 1, error
    assert error.startswith("fourfold: ")
    return error


def test_the_result_stands_beside_the_input(photo: Path, model: str) -> None:
    assert run(["upscale", str(photo), "-n", model]) == 0
    assert read_pixels(photo.with_name("photo_x4.png")).shape == (40, 56, 3)
    assert len(list(photo.parent.iterdir())) == 2


@pytest.mark.parametrize("name", [".photo.png", "..photo.png", "._photo.png", "._x2.png"])
def test_names_that_begin_with_a_dot(photo: Path, model: str, name: str) -> None:
    assert run(["upscale", str(photo.rename(photo.with_name(name))), "-n", model]) == 0
    assert photo.with_name(name[:-4] + "_x4.png").exists()


@pytest.mark.parametrize(
    ("options", "size"),
    [
        (["-s", "3"], (30, 42)),
        (["--outscale", "1"], (10, 14)),
        (["-s", "16"], (160, 224)),
        (["--fit", "100x100"], (71, 100)),
        (["--fit", "1080p"], (1080, 1512)),
        (["-t", "32"], (40, 56)),
        (["--tile", "0", "--tta"], (40, 56)),
    ],
)
def test_sizes(photo: Path, model: str, options: list[str], size: tuple[int, int]) -> None:
    out = photo.with_name("out.png")
    assert run(["upscale", "-i", str(photo), "-o", str(out), "-n", model, *options]) == 0
    assert read_pixels(out).shape[:2] == size


@pytest.mark.parametrize("ext", ["jpg", "webp", "tiff", "png"])
def test_formats_and_quality(photo: Path, model: str, ext: str) -> None:
    arguments = ["upscale", str(photo), "-n", model, "--ext", ext]
    quality = ["--quality", "80"] if ext in ("jpg", "webp") else []
    assert run([*arguments, *quality, "--suffix", "-big"]) == 0
    assert read_pixels(photo.with_name(f"photo-big.{ext}")).shape == (40, 56, 3)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--frames", "3"], "--frames: without effect on pictures; leave out"),
        (["--preview", "--crf", "3"], "--crf and --preview: without effect on pictures"),
        (["--quality", "80"], "--quality: without effect on png"),
        (["--quality", "80", "-o", "x.tiff"], "--quality: without effect on tiff"),
        (["--suffix", "a", "-o", "x.png"], "-o x.png is the whole name; leave --suffix out"),
        (["--suffix", "a", "-o", "-"], "-o - is the whole name; leave --suffix out"),
        (["--max-errors", "3"], "--max-errors: want --shard"),
        (["--dry-run", "--quality", "80"], "--quality: without effect on png"),
    ],
)
def test_options_that_cannot_matter_are_refused(
    photo: Path, model: str, options: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["upscale", str(photo), "-n", model, *options]) == 2
    assert says in capsys.readouterr().err
    assert [path.name for path in photo.parent.glob("photo*")] == ["photo.png"]


def test_options_that_matter_to_none_of_a_folder_are_noted(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    inside = photo.parent / "in"
    inside.mkdir()
    photo.rename(inside / photo.name)
    options = ["-n", model, "--frames", "3", "--quality", "80"]
    assert run(["upscale", str(inside), *options]) == 0
    assert capsys.readouterr().err.splitlines()[:2] == [
        "fourfold: note: --frames: without effect on these inputs",
        "fourfold: note: --quality: without effect on these inputs",
    ]
    assert run(["upscale", str(inside), *options, "--ext", "jpg"]) == 0
    assert "--quality" not in capsys.readouterr().err


def test_existing_results_are_skipped_unless_told(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = photo.with_name("photo_x4.png")
    out.write_text("precious")
    assert run(["upscale", str(photo), "-n", model]) == 0
    assert out.read_text() == "precious"
    assert "--overwrite" in capsys.readouterr().err
    assert run(["upscale", str(photo), "-n", model, "--overwrite"]) == 0
    assert read_pixels(out).shape == (40, 56, 3)


def test_a_result_of_other_settings_is_an_error_in_words(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["upscale", str(photo), "-n", model]) == 0
    assert run(["upscale", str(photo), "-n", model]) == 0
    capsys.readouterr()
    assert run(["upscale", str(photo), "-n", model, "--tta"]) == 1
    said = one_line(capsys)
    assert "tta off (now on)" in said
    assert "--overwrite replaces it, --suffix keeps both" in said
    assert run(["upscale", str(photo), "-n", model, "--tta", "--suffix", "_b"]) == 0
    assert run(["upscale", str(photo), "-n", model, "--tta", "--overwrite"]) == 0


@pytest.mark.parametrize("ext", ["jpeg", "jpg", ".JPG"])
def test_jpeg_and_jpg_are_one_format(photo: Path, model: str, ext: str) -> None:
    out = photo.with_name("a.jpg")
    assert run(["upscale", str(photo), "-n", model, "-o", str(out), "--ext", ext]) == 0
    assert out.read_bytes().startswith(b"\xff\xd8")


def test_dry_run_plans_pictures_and_touches_nothing(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    new = photo.parent / "new"
    command = ["upscale", str(photo), "-n", model, "--dry-run", "-o", f"{new}/"]
    assert run([*command, "--json", "--ext", "jpg"]) == 0
    planned = json.loads(capsys.readouterr().out)
    assert (planned["status"], planned["width"], planned["height"]) == ("planned", 56, 40)
    assert planned["output"] == str(new / "photo_x4.jpg")
    assert planned["seconds"] >= 0
    assert run(command) == 0
    assert "photo_x4.png  56x40  about 0:0" in capsys.readouterr().out
    assert [p.name for p in photo.parent.iterdir()] == ["photo.png"]
    assert run([*command, str(photo.with_name("gone.png"))]) == 1
    assert "no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "least"), [(["--tile", "4"], "32"), (["--max-memory", "10"], "300MB")]
)
def test_sizes_that_only_cost_time_are_refused(
    photo: Path, model: str, option: list[str], least: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["upscale", str(photo), "-n", model, *option]) == 2
    assert f"want at least {least}" in one_line(capsys)


def test_json_is_one_object_per_input(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = str(photo.with_name("missing.png"))
    assert run(["upscale", str(photo), missing, "-n", model, "--json"]) == 1
    captured = capsys.readouterr()
    done, failed = map(json.loads, captured.out.splitlines())
    assert (done["status"], done["width"], done["height"]) == ("done", 56, 40)
    assert failed["status"] == "failed"
    assert "missing.png" in captured.err


def test_standard_input_and_output(
    photo: Path,
    model: str,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    for target in (["-o", "-"], []):
        stdin = io.TextIOWrapper(io.BytesIO(photo.read_bytes()))
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.chdir(photo.parent)
        assert run(["upscale", "-", *target, "-n", model]) == 0
        assert capfdbinary.readouterr().out.startswith(b"\x89PNG")
    assert list(photo.parent.iterdir()) == [photo]


def test_a_picture_is_not_written_to_a_terminal(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run(["upscale", "-", "-n", model]) == 2
    assert "want -o FILE, > FILE or | PROGRAM" in one_line(capsys)


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["missing.png"], 1, "no such file"),
        (["text.png"], 1, "text.png"),
        (["empty.jpg"], 1, "empty.jpg"),
        (["photo.png", "-n", "nothing"], 2, "no such model"),
        (["photo.png", "-s", "0"], 2, "--scale: want"),
        (["photo.png", "-s", "17"], 2, "--scale: want"),
        (["photo.png", "-s", "2", "--fit", "4k"], 2, "got both"),
        (["photo.png", "--fit", "big"], 2, "--fit: want"),
        (["photo.png", "--texture", "2"], 2, "--texture: want"),
        (["photo.png", "--backend", "x"], 2, "--backend: want"),
        (["photo.png", "-t", "x"], 2, "--tile: want"),
        (["photo.png", "--quality", "0"], 2, "--quality: want"),
        (["photo.png", "--ext", "exe"], 2, "--ext: want"),
        (["photo.png", "--max-memory", "much"], 2, "--max-memory: want"),
        (["photo.png", "--max-pixels", "10"], 1, "--max-pixels"),
        (["photo.png", "--max-pixels", "0"], 2, "--max-pixels: want"),
        (["photo.png", "-o", "out.doc"], 2, "-o out.doc"),
        (["photo.png", "--unknown"], 2, "--unknown"),
        ([], 2, "INPUT"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    photo: Path,
    arguments: list[str],
    code: int,
    says: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(photo.parent)
    Path("text.png").write_text("not a picture")
    Path("empty.jpg").touch()
    before = sorted(Path().iterdir())
    assert run(["upscale", *arguments]) == code
    assert says in one_line(capsys)
    assert sorted(Path().iterdir()) == before


def test_a_place_that_cannot_be_written_is_one_line(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (photo.parent / "file").write_text("x")
    out = photo.parent / "file" / "out.png"
    assert run(["upscale", str(photo), "-n", model, "-o", str(out)]) == 1
    assert "file is no folder" in one_line(capsys)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder_is_one_line(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    photo.parent.chmod(0o500)
    assert run(["upscale", str(photo), "-n", model]) == 1
    assert "cannot write" in one_line(capsys)
    photo.parent.chmod(0o700)


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([""], "got an empty one"),
        (["{}", "other.png", "-o", "both.png"], "want a folder for several inputs"),
        (["{}", "-o", "x.png", "--ext", "jpg"], "leave --ext jpg out"),
        (["{}", "-t", "x"], "--tile: want"),
    ],
)
def test_orders_that_contradict_themselves_are_usage_errors(
    photo: Path, model: str, arguments: list[str], wanted: str, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [text.format(photo) for text in arguments]
    assert run(["upscale", *filled, "-n", model]) == 2
    assert wanted in one_line(capsys)


def test_names_the_system_refuses_are_one_line(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    long = "a" * 300
    for arguments in ([long], [str(photo), "-o", long], [str(photo), "-o", f"{long}.png"]):
        assert run(["upscale", *arguments, "-n", model]) == 1
        assert "too long" in one_line(capsys)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
@pytest.mark.parametrize("options", [["--json"], [], ["-o", "-"]])
def test_a_full_standard_output_is_one_line(photo: Path, model: str, options: list[str]) -> None:
    command = [sys.executable, "-m", "fourfold", "upscale", str(photo), "-n", model, *options]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, text=True, check=False, timeout=240
        )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse such names")
def test_json_holds_any_file_name(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = photo.with_name(os.fsdecode(b"odd\xff.png"))
    photo.rename(odd)
    assert run(["upscale", str(odd), "-n", model, "--json"]) == 0
    line = capsys.readouterr().out.encode()  # UTF-8, as JSON must be
    assert json.loads(line)["input"] == str(odd)


def test_a_folder_without_pictures_says_so(
    tmp_path: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["upscale", str(tmp_path), "-n", model]) == 0
    assert "no picture or film" in one_line(capsys)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_folders_that_may_not_be_read_are_named(
    photo: Path, model: str, capsys: pytest.CaptureFixture[str]
) -> None:
    closed = photo.parent / "closed"
    closed.mkdir(mode=0)
    try:
        assert run(["upscale", str(photo.parent), "-r", "-n", model]) == 1
        assert "closed: cannot read (Permission denied)" in one_line(capsys)
    finally:
        closed.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's >&-")
@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        ("{photo} -o {out} >&-", 0, ""),
        ("- -o {out} <&-", 1, "standard input: is empty"),
        ("- <{photo} >&-", 2, "standard output is closed"),
    ],
)
def test_closed_streams_are_no_traceback(
    photo: Path, model: str, words: str, code: int, says: str
) -> None:
    command = f"{sys.executable} -m fourfold upscale -n {model} {words}"
    command = command.format(photo=photo, out=photo.with_name("out.png"))
    done = subprocess.run(
        command, shell=True, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == code, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr
    assert photo.with_name("out.png").exists() == (code == 0)
