"""Results say what made them, in bytes that no reader minds."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image

from fourfold import Request
from fourfold.errors import OutputError
from fourfold.jobs.door import upscale_file, upscale_video
from fourfold.jobs.inputs import find_requests
from fourfold.jobs.pipeline import run_all
from fourfold.jobs.records import read_record, write_record
from fourfold.pictures.images import read_pixels
from tests.made_films import make_film
from tests.made_pictures import Nearest, image, repeated

PIXELS = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
FORMATS = ["png", "jpg", "webp", "tiff", "avif", "gif"]


def picture(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image(PIXELS).write_to_file(str(path))
    return path


@pytest.mark.parametrize("ext", FORMATS)
def test_pictures_carry_their_record_and_stay_readable(tmp_path: Path, ext: str) -> None:
    source = picture(tmp_path / "a.png")
    path = upscale_file(source, ext=ext, upscaler=Nearest()).path
    record = read_record(path)
    assert (record["model"], record["size"], record["format"]) == ("nearest", [16, 12], ext)
    assert pyvips.Image.new_from_file(str(path), fail_on="warning").avg() > 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with Image.open(path) as opened:
            opened.load()
    if ext in ("png", "tiff"):
        assert np.array_equal(read_pixels(path), repeated(PIXELS))
    again = upscale_file(source, tmp_path / "b", ext=ext, upscaler=Nearest()).path
    assert again.read_bytes() == path.read_bytes()


def test_the_record_says_nothing_of_time_place_or_machine(tmp_path: Path) -> None:
    path = upscale_file(picture(tmp_path / "a.png"), upscaler=Nearest()).path
    assert read_record(path).keys() == {
        *("version", "model", "weights", "tta", "consistency", "size", "format", "quality"),
        "input",
    }


def test_a_changed_input_is_told_and_its_result_kept(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    path = upscale_file(source, upscaler=Nearest()).path
    before, stamp = path.read_bytes(), source.stat().st_mtime_ns
    image(255 - PIXELS).write_to_file(str(source))
    os.utime(source, ns=(stamp, stamp))
    says = (
        "a result of another input, or of this one before it changed stands there; overwrite=True"
    )
    with pytest.raises(OutputError, match=says):
        upscale_file(source, upscaler=Nearest())
    with pytest.raises(OutputError, match="before it changed and a result of other settings, with"):
        upscale_file(source, upscaler=Nearest(), fit="12x12", suffix="_x2")
    assert path.read_bytes() == before
    assert upscale_file(source, upscaler=Nearest(), overwrite=True).status == "done"
    assert upscale_file(source, upscaler=Nearest()).status == "skipped"


def test_a_result_that_notes_no_input_still_exists(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    path = upscale_file(source, upscaler=Nearest()).path
    record = {k: v for k, v in read_record(path).items() if k != "input"}
    image(repeated(PIXELS)).write_to_file(str(path))
    write_record(path, record)
    image(255 - PIXELS).write_to_file(str(source))
    assert upscale_file(source, upscaler=Nearest()).status == "skipped"


def test_a_jpeg_of_several_pictures_stays_whole(tmp_path: Path) -> None:
    frames = [Image.fromarray(PIXELS), Image.fromarray(PIXELS)]
    frames[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=frames[1:])
    before = (tmp_path / "a.jpg").read_bytes()
    write_record(tmp_path / "a.jpg", {"model": "x"})
    assert (tmp_path / "a.jpg").read_bytes().startswith(before)
    assert read_record(tmp_path / "a.jpg") == {"model": "x"}


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_films_carry_their_record_and_stay_readable(tmp_path: Path, suffix: str, capfd) -> None:
    av = pytest.importorskip("av")
    from fourfold import Upscaler
    from tests.models import tiny_model

    film = make_film(tmp_path / f"film{suffix}", stamps=range(4))
    up = Upscaler(tiny_model(scale=2, num_blocks=1, width=4))
    outcome = upscale_video(film, upscaler=up)
    assert read_record(outcome.path)["model"] == "tiny"
    with av.open(str(outcome.path)) as opened:
        assert sum(1 for _ in opened.decode(video=0)) == 4
    assert upscale_video(film, upscaler=up, crf=18.0, codec="h264").status == "skipped"
    with pytest.raises(OutputError, match=r"crf 18 \(now 30.0\)"):
        upscale_video(film, upscaler=up, crf=30.0)
    # An enlarged film is a film like any other.
    assert upscale_video(outcome.path, tmp_path / f"b{suffix}", upscaler=up).damage is None
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize("content", [b"", b"\xff", b"fourfold-result:{", b"fourfold-result:[]"])
def test_what_is_no_record_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a").write_bytes(content)
    assert read_record(tmp_path / "a") is None
    assert read_record(tmp_path / "b") is None


def another() -> Any:
    up = Nearest()
    up.network.name, up.network.sha256 = "other", "1" * 64
    return up


@pytest.mark.parametrize(
    ("options", "upscaler", "says"),
    [
        ({"scale": 3.0, "suffix": "_x2"}, Nearest(), r"size 16x12 \(now 24x18\)"),
        ({"quality": 50, "ext": "jpg"}, Nearest(), r"quality 95 \(now 50\)"),
        ({}, another(), r"model nearest \(now other\)"),
    ],
)
def test_a_result_of_other_settings_is_no_result(
    tmp_path: Path, options: dict, upscaler: Any, says: str
) -> None:
    a = picture(tmp_path / "a.png")
    ext = options.get("ext", "auto")
    made = upscale_file(a, ext=ext, upscaler=Nearest())
    before = made.path.read_bytes()
    assert upscale_file(a, ext=ext, upscaler=Nearest()).status == "skipped"
    with pytest.raises(OutputError, match=says) as refused:
        upscale_file(a, upscaler=upscaler, **options)
    assert "overwrite=True replaces it, suffix keeps both" in str(refused.value)
    assert made.path.read_bytes() == before
    assert upscale_file(a, upscaler=upscaler, overwrite=True, **options).status == "done"
    assert made.path.read_bytes() != before


def test_a_default_that_is_written_out_is_the_same_setting(tmp_path: Path) -> None:
    a = picture(tmp_path / "a.jpg")
    assert upscale_file(a, upscaler=Nearest()).status == "done"
    same = {"quality": 95, "ext": "jpg", "scale": 2.0}
    assert upscale_file(a, upscaler=Nearest(), **same).status == "skipped"


def test_a_file_of_another_program_is_kept_and_said(tmp_path: Path) -> None:
    picture(tmp_path / "a_x2.png")
    outcome = upscale_file(picture(tmp_path / "a.png"), upscaler=Nearest())
    assert outcome.status == "skipped"
    assert "does not say what made it" in outcome.reason


MADE = ["a_x2.png", "a_x3.5.jpg", "a_720p.png", "a_100x50.webp", "a-big.png"]


def test_results_of_earlier_runs_are_no_inputs(tmp_path: Path) -> None:
    for name in ("a.png", "b_x2.png", "c_2k.jpg", *MADE):
        picture(tmp_path / name)
    requests, left_out = find_requests([str(tmp_path)], suffix="-big")
    assert [r.path.name for r in requests] == ["a.png", "b_x2.png", "c_2k.jpg"]
    assert sorted(path.name for path in left_out) == sorted(MADE)


def test_a_result_named_beside_what_it_was_made_of_is_no_input(tmp_path: Path) -> None:
    a = picture(tmp_path / "a.png")
    made = upscale_file(a, upscaler=Nearest(), suffix="-big").path
    others = picture(tmp_path / "b_x2.png"), picture(tmp_path / "b.png")  # nobody's results
    requests, left_out = find_requests(str(path) for path in (a, made, *others))
    assert [r.path for r in requests] == [a, *others]
    assert left_out == [made]
    assert [r.path for r in find_requests([str(made)])[0]] == [made]


def test_a_record_tells_a_result_whatever_its_name(tmp_path: Path) -> None:
    made = upscale_file(picture(tmp_path / "a.png"), upscaler=Nearest()).path
    moved = made.rename(tmp_path / "out.png")
    (tmp_path / "a.png").unlink()
    assert find_requests([str(tmp_path)]) == ([], [moved])
    (request,), _ = find_requests([str(moved)])  # but given by name it is an input like any other
    (outcome,) = run_all([request], upscaler=Nearest())
    assert (outcome.status, outcome.size) == ("done", (32, 24))


def test_what_is_skipped_is_described_by_its_record(tmp_path: Path) -> None:
    source = picture(tmp_path / "a.png")
    path = upscale_file(source, upscaler=Nearest()).path
    said = upscale_file(source, upscaler=Nearest()).as_dict()
    assert (said["width"], said["height"], said["model"]) == (16, 12, "nearest")
    assert (said["status"], said["pages"], said["why"]) == ("skipped", None, None)
    path.write_bytes(b"of another program")
    said = upscale_file(source, upscaler=Nearest()).as_dict()
    assert (said["width"], said["height"], said["model"]) == (None, None, None)
    write_record(path, {"size": ["wide"], "model": 3})
    with pytest.raises(OutputError, match="other settings"):
        upscale_file(source, upscaler=Nearest())
    (failed,) = run_all([Request(source=tmp_path / "no.mp4")], upscaler=Nearest())
    assert {k: failed.as_dict()[k] for k in ("width", "model", "frames", "shown")} == {
        **{"width": None, "model": None, "frames": None, "shown": None}
    }
