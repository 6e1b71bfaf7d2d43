"""Every catalogued network trains, validates, resumes exactly and starts from its own files."""

from __future__ import annotations

import pytest
import torch

import fourfold
from fourfold.errors import ConfigError
from fourfold.networks.catalog import CATALOG
from fourfold.training.loop import train
from fourfold.weights.format import load_model

SMALL = {
    "srresnet": {"num_blocks": 1, "width": 8, "norm": "none"},
    "plain": {"depth": 1, "width": 8},
}


@pytest.fixture
def build(settings):
    def of(name, scale=4, **changes):
        model = {"architecture": name, "scale": scale, **SMALL[name]}
        table = {"steps": 2, "data": {"crop": 24 if scale == 3 else 32}, **changes}
        config = settings(**table).model_dump()
        config["model"] = model
        return type(settings()).model_validate(config)

    return of


@pytest.mark.parametrize("name", CATALOG)
def test_resume_equals_a_straight_run(name, build, tmp_path):
    straight = train(build(name, steps=4), output=tmp_path / "straight")
    train(build(name, steps=2), output=tmp_path / "split")
    resumed = train(build(name, steps=4), output=tmp_path / "split", resume=True)
    ours, theirs = straight.tensors(), resumed.tensors()
    assert [n for n in ours if not torch.equal(ours[n], theirs[n])] == []
    model = load_model(tmp_path / "split" / "model.safetensors")
    assert (model.architecture, model.training["step"]) == (name, 4)


@pytest.mark.parametrize("scale", [2, 3, 8])
def test_plain_trains_at_every_scale(build, tmp_path, scale):
    train(build("plain", scale), output=tmp_path / "run")
    assert fourfold.Upscaler(tmp_path / "run").scale == scale


@pytest.mark.parametrize("name", CATALOG)
def test_it_starts_from_its_own_file(name, build, tmp_path):
    first = train(build(name, ema_decay=0), output=tmp_path / "first")
    config = build(name, steps=1, ema_decay=0, optimizer={"learning_rate": 1e-12})
    state = train(config, output=tmp_path / "next", start=str(tmp_path / "first"))
    lr = torch.rand(1, 3, 6, 6)
    with torch.inference_mode():
        ours, theirs = (s.generator.eval()(lr) for s in (first, state))
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_a_start_of_another_kind_is_refused(build, tmp_path):
    train(build("plain"), output=tmp_path / "first")
    with pytest.raises(ConfigError, match=r"model\.architecture=srresnet: the weights .* a plain"):
        train(build("srresnet"), output=tmp_path / "next", start=str(tmp_path / "first"))
    config = build("plain")
    wider = config.model_copy(update={"model": config.model.model_copy(update={"width": 9})})
    with pytest.raises(ConfigError, match=r"model\.width=9: the weights of --from have 8"):
        train(wider, output=tmp_path / "next", start=str(tmp_path / "first"))


def test_the_model_file_says_how_it_is_used(settings, tmp_path):
    for degradation, purpose in (("bicubic", "clean"), ("jpeg", "photo")):
        train(settings(steps=1, data={"degradation": degradation}), output=tmp_path / degradation)
        usage = load_model(tmp_path / degradation / "model.safetensors").usage
        assert (usage.purpose, usage.consistency) == (purpose, purpose == "clean")
        assert usage.degradations == (degradation,)
        assert fourfold.Upscaler(tmp_path / degradation).consistency == (purpose == "clean")
    config = settings(steps=1, usage={"purpose": "photo", "consistency": True, "shave": 0})
    train(config, output=tmp_path / "told")
    usage = load_model(tmp_path / "told" / "model.safetensors").usage
    assert (usage.purpose, usage.consistency, usage.shave) == ("photo", True, 0)
