"""The best model that keeps up is taken, and how fast it is is said."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from fourfold.engine.upscaler import Upscaler
from fourfold.jobs.films import realtime
from fourfold.jobs.films.realtime import candidates, in_time
from fourfold.jobs.films.settings import Plan
from fourfold.jobs.request import Request
from fourfold.weights.format import save_model
from fourfold.weights.zoo import BLEND_ONLY, BUNDLED, get_model
from tests.made_films import make_film
from tests.models import plain_model, tiny_model

pytest.importorskip("av")


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Request:
    monkeypatch.setattr(realtime, "trial_speed", lambda *_: 1e9)
    return Request(source=make_film(tmp_path / "film.mp4", stamps=range(4)))


def speeds(**known: float):
    def trial(upscaler: Upscaler, _plan: Plan, seconds: float) -> float:
        assert 0 < seconds <= realtime.TRIAL_SECONDS
        return known.get(upscaler.network.name.replace("-", "_"), 0.5)

    return trial


def test_all_bundled_models_are_candidates_the_usual_one_first(film: Request) -> None:
    names = candidates(film)
    assert sorted(names) == sorted(set(BUNDLED) - BLEND_ONLY)
    assert names[0] in ("srresnet-fast-x4", "srgan-photo-x4")  # as `auto` would take


def test_a_smaller_network_is_tried_after_the_larger_ones_of_its_kind(
    film: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For films that look so, and at the end of all for others."""
    live = replace(plain_model(), usage=get_model("srgan-photo-fast-x4").usage)
    monkeypatch.setattr(realtime, "BUNDLED", (*BUNDLED, "live"))
    monkeypatch.setattr(
        realtime, "get_model", lambda name: live if name == "live" else get_model(name)
    )
    names = candidates(film)
    photo = [n for n in names if n != "live" and get_model(n).usage.purpose == live.usage.purpose]
    assert all(names.index(name) < names.index("live") for name in photo)
    assert names.index("live") in (len(photo), len(names) - 1)


def test_the_first_that_keeps_up_is_taken(film: Request) -> None:
    chosen, told = in_time(film, trial=speeds(srgan_x4=1e6))
    assert chosen.model == "srgan-x4"
    assert "keeps up: 1000000.0 frames a second" in told


def test_else_the_fastest_and_how_much_too_slow_it_is(film: Request) -> None:
    chosen, told = in_time(film, trial=speeds(srgan_x4=0.75))
    assert chosen.model == "srgan-x4"
    assert "times too slow" in told


def test_a_model_that_is_named_is_kept(film: Request, tmp_path: Path) -> None:
    save_model(tiny_model(scale=2, num_blocks=1, width=4), tmp_path / "m.safetensors")
    named = film.model_copy(update={"model": str(tmp_path / "m.safetensors")})
    assert candidates(named) == [str(tmp_path / "m.safetensors")]
    chosen, told = in_time(named, trial=speeds())
    assert chosen.model == named.model
    assert "times too slow" in told


def test_the_trial_is_the_film_itself(film: Request, tmp_path: Path) -> None:
    save_model(tiny_model(scale=2, num_blocks=1, width=4), tmp_path / "m.safetensors")
    _, told = in_time(film.model_copy(update={"model": str(tmp_path / "m.safetensors")}))
    assert "frames a second" in told
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.mp4", "m.safetensors"]
