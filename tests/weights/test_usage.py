"""What a model file says about its use is kept, shown and obeyed."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from fourfold.cli.main import run
from fourfold.engine.upscaler import Upscaler
from fourfold.errors import ModelError
from fourfold.weights.format import load_model, save_model
from fourfold.weights.usage import Usage, read_usage, write_usage
from tests.models import tiny_model

PHOTO = Usage(purpose="photo", consistency=False, shave=3, degradations=("real", "jpeg"))


@pytest.fixture
def photo_file(tmp_path):
    path = tmp_path / "photo.safetensors"
    save_model(replace(tiny_model(), usage=PHOTO), path)
    return path


def test_it_survives_a_file(photo_file, tmp_path):
    assert load_model(photo_file).usage == PHOTO
    save_model(tiny_model(), tmp_path / "usual.safetensors")
    assert load_model(tmp_path / "usual.safetensors").usage == Usage()


def test_it_is_shown(photo_file, capsys):
    assert run(["models", "show", str(photo_file), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["usage"]["purpose"] == "photo"


@pytest.mark.parametrize(("asked", "used"), [(None, False), (True, True), (False, False)])
def test_upscaling_obeys_it_unless_told(photo_file, asked, used):
    assert Upscaler(photo_file, consistency=asked).consistency is used


def test_the_usual_model_agrees_with_its_input():
    picture = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
    up = [Upscaler(tiny_model(), consistency=asked, precision="fp32") for asked in (None, True)]
    assert up[0].consistency
    assert (up[0].upscale(picture) == up[1].upscale(picture)).all()


def test_borders_are_mirrored_without_the_consistency_step(photo_file):
    picture = np.random.default_rng(0).integers(0, 256, (12, 9, 3), np.uint8)
    framed = np.pad(picture, ((3, 3), (3, 3), (0, 0)), mode="symmetric")
    ours = Upscaler(photo_file, precision="fp32").upscale(picture)
    bare = Upscaler(photo_file, precision="fp32", consistency=False).upscale(framed)
    assert np.abs(ours.astype(int) - bare[12:-12, 12:-12]).max() <= 1


@pytest.mark.parametrize(
    "text",
    ["3", "[", '{"purpose": "art"}', '{"consistency": 1}', '{"shave": -1}', '{"shave": "x"}'],
)
def test_damage_is_named(text):
    with pytest.raises(ModelError, match=r"^m: "):
        read_usage(text, source="m")


def test_what_a_later_version_adds_is_left_out():
    later = {**json.loads(write_usage(PHOTO)), "mood": "blue"}
    assert read_usage(json.dumps(later), source="m") == PHOTO
