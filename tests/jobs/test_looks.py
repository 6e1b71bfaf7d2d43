"""What `auto` takes: by a look at the input, the same through every door."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image

from fourfold import Request, open_upscaler, plan, run, upscale_bytes, upscale_file
from fourfold.cli.main import run as command
from fourfold.engine.suits import Verdict
from fourfold.jobs import looks, picture
from fourfold.jobs.engines import Engines
from fourfold.jobs.film import film_engine
from fourfold.jobs.looks import look_at_picture
from fourfold.jobs.picture import open_picture
from fourfold.pictures import sample
from fourfold.pictures.images import read_pixels
from tests.made_films import make_film
from tests.made_pictures import Nearest, image

ROOT = Path(__file__).parents[2]
CLEAN, PHOTO = "srgan-x4", "srgan-photo-x4"

pytestmark = pytest.mark.timeout(240)


def cat(height: int = 75, width: int = 112) -> np.ndarray:
    return np.ascontiguousarray(read_pixels(ROOT / "demo" / "chelsea.png")[:height, :width, :3])


def noisy(pixels: np.ndarray, sigma: float = 18, seed: int = 0) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(0, sigma, pixels.shape)
    return np.clip(pixels + noise, 0, 255).round().astype(np.uint8)


def verdict(data: bytes) -> Verdict:
    with open_picture(Request(source=data)) as source:
        return look_at_picture(source)


def test_damage_is_seen_in_every_kind_of_picture() -> None:
    clean, damaged = cat(), noisy(cat())
    wide = damaged.astype(np.uint16) * 257
    opaque = np.full((75, 112, 1), 255, np.uint8)
    grey = damaged.mean(axis=2).astype(np.uint8)
    for pixels in (clean, clean.astype(np.uint16) * 257, np.dstack([clean, opaque])):
        assert verdict(image(pixels).pngsave_buffer()).kind == "clean"
    for pixels in (damaged, wide, np.dstack([damaged, opaque]), grey[..., None]):
        assert verdict(image(pixels).pngsave_buffer()).kind == "photo"
    floats = image(damaged).cast("float") / 255
    assert verdict(floats.tiffsave_buffer()).kind == "photo"
    assert verdict(image(clean).jpegsave_buffer(Q=40)) == ("photo", "JPEG of quality 40")


def test_pages_go_by_the_first_and_colours_of_nothing_do_not_count() -> None:
    first, second = image(cat()), image(noisy(cat()))
    for pages, kind in (([first, second], "clean"), ([second, first], "photo")):
        tall = pyvips.Image.arrayjoin(pages, across=1)
        tall.set_type(pyvips.GValue.gint_type, "page-height", 75)
        assert verdict(tall.tiffsave_buffer()).kind == kind
    hidden = np.dstack([noisy(cat()), np.zeros((75, 112, 1), np.uint8)])
    assert verdict(image(hidden).pngsave_buffer()).kind == "clean"


def test_large_pictures_are_not_read_to_their_middle(monkeypatch: pytest.MonkeyPatch) -> None:
    tall = np.concatenate([noisy(cat()), np.full((600, 112, 3), 90, np.uint8)])
    data = image(tall).pngsave_buffer()
    with open_picture(Request(source=data)) as source:
        assert sample.read_sample(source, 64).std() < 0.01  # type: ignore[union-attr]
        monkeypatch.setattr(sample, "_DECODED", 75 * 112)
        part = sample.read_sample(source, 64)
    assert part is not None
    assert part.shape == (64, 64, 3)
    assert part.std() > 0.1


def test_what_cannot_be_measured_is_told_by_those_who_read_it(tmp_path: Path) -> None:
    path = tmp_path / "cut.jpg"
    path.write_bytes(image(noisy(cat())).jpegsave_buffer(Q=95)[:2000])
    with open_picture(Request(source=path)) as source:
        assert look_at_picture(source) == ("clean", "it cannot be measured")
    assert command(["upscale", str(path)]) == 1


def test_files_bytes_plans_and_standard_input_agree(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(image(cat(24, 32)).jpegsave_buffer(Q=40))
    planned = plan(Request(source=path))
    outcome = upscale_file(path)
    assert (planned.model, planned.why) == (PHOTO, "JPEG of quality 40")
    assert (outcome.model, outcome.why) == (planned.model, planned.why)
    assert outcome.path is not None
    made = outcome.path.read_bytes()
    assert upscale_bytes(path.read_bytes()) == made
    stdin = io.TextIOWrapper(io.BytesIO(path.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert command(["upscale", "-", "-o", str(tmp_path / "b.jpg")]) == 0
    assert _pixels((tmp_path / "b.jpg").read_bytes()) == _pixels(made)
    assert "fourfold: -: srgan-photo-x4 (JPEG of quality 40)" in capsys.readouterr().err
    again = run(Request(source=path, model="srgan-photo-x4", overwrite=True))
    assert (again.model, again.why) == (PHOTO, "as asked")
    assert outcome.path.read_bytes() == made


def test_each_picture_of_a_folder_gets_its_own_and_a_second_run_looks_at_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, quality in (("a", 97), ("b", 40), ("c", 97)):
        image(cat(32, 40)).jpegsave(str(tmp_path / f"{name}.jpg"), Q=quality)
    arguments = ["upscale", str(tmp_path), "-o", str(tmp_path / "out")]
    assert command(arguments) == 0
    assert "fourfold: pictures: 2 by srgan-x4, 1 by srgan-photo-x4" in capsys.readouterr().err

    def refuse(_source: Any) -> Verdict:
        raise AssertionError("looked at again")

    monkeypatch.setattr(picture, "look_at_picture", refuse)
    assert command([*arguments, "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one["status"] for one in told] == ["skipped"] * 3
    # Other settings are still told apart, by the model the result was made with.
    assert command([*arguments, "--tta"]) == 1
    said = capsys.readouterr().err
    assert "tta off (now on)" in said
    assert "model" not in said.replace("models", "")


def test_options_settle_it_without_a_look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture, "look_at_picture", None)
    path = tmp_path / "a.png"
    image(cat(24, 24)).write_to_file(str(path))
    for options, model in (
        ({"texture": 1.0}, CLEAN),
        ({"denoise": 1.0}, PHOTO),
        ({"model": "srresnet-fast-x4"}, "srresnet-fast-x4"),
    ):
        request = Request(source=path, **options)
        with open_picture(request) as source:
            engine = picture.picture_engine(request, source, Engines())
        assert engine.upscaler.network.name == model
    assert upscale_file(path, upscaler=Nearest()).model == "nearest"


def test_an_upscaler_opened_for_auto_takes_any_picture(tmp_path: Path) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(image(cat(24, 24)).jpegsave_buffer(Q=40))
    request = Request(source=path, model="auto")
    outcome = run(request, upscaler=open_upscaler(request))
    assert (outcome.model, outcome.why) == (CLEAN, "of the Upscaler that is given")


def film(path: Path, pictures: list[np.ndarray]) -> Path:
    height, width = pictures[0].shape[:2]
    return make_film(
        path,
        stamps=range(len(pictures)),
        size=(width, height),
        pictures=pictures,
        options={"crf": "1"},
        sound=None,
    )


def test_films_go_by_frames_of_their_beginning(tmp_path: Path) -> None:
    pytest.importorskip("av")
    small = cat(74, 112)
    black = [np.zeros_like(small)] * 3
    clean = film(tmp_path / "clean.mp4", [small] * 6)
    damaged = film(tmp_path / "noisy.mp4", black + [noisy(small, 25, seed) for seed in range(9)])
    engines = Engines()
    for path, model in ((clean, "srresnet-fast-x4"), (damaged, "srgan-photo-fast-x4")):
        upscaler, why = film_engine(Request(source=path), engines)
        assert upscaler.network.name == model, why
        assert film_engine(Request(source=path), engines) == (upscaler, why)


def test_a_film_says_what_it_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    path = film(tmp_path / "a.mp4", [cat(74, 112)] * 2)
    assert command(["upscale", str(path)]) == 0
    assert "a.mp4: srresnet-fast-x4 (" in capsys.readouterr().err
    monkeypatch.setattr(looks, "suits", None)
    assert command(["upscale", str(path)]) == 0  # there already: not looked at
    assert "exists" in capsys.readouterr().err


@pytest.fixture
def real() -> Path:
    folder = Path(os.environ.get("FOURFOLD_REAL", ROOT / ".." / "shared" / "data" / "real"))
    if not folder.is_dir():
        pytest.skip(f"no real pictures at {folder}; set FOURFOLD_REAL to a folder of them")
    return folder


REAL = (
    "0014.jpg 2569067123_aca715a2ee_o.jpg ADE_val_00000114.jpg Lincoln.png comic2.png "
    "dped_crop00061.png frog.png kodak-dc210.jpg nikon-e950.jpg oldphoto3.png painting.png "
    "paris_exif_xmp_icc.jpg seoul.jpg"
)
"""Noisy, compressed or scanned."""


def models_of(paths: list[Path], out: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    arguments = ["upscale", *map(str, paths), "-o", str(out), "--dry-run", "--json"]
    assert command(arguments) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(one["why"] for one in told)
    return {Path(one["input"]).name: one["model"] for one in told}


def test_real_pictures_that_are_damaged(
    real: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [real / name for name in REAL.split()]
    assert models_of(paths, tmp_path, capsys) == {path.name: PHOTO for path in paths}


@pytest.mark.parametrize("dataset", ["Set5", "Set14"])
def test_published_inputs_are_clean(
    bench: Path, dataset: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = sorted((bench / dataset / "LR_bicubic" / "X4").glob("*.png"))
    assert models_of(paths, tmp_path, capsys) == {path.name: CLEAN for path in paths}


def _pixels(data: bytes) -> bytes:
    """Without the record, which names no input where standard input was read."""
    return Image.open(io.BytesIO(data)).tobytes()
