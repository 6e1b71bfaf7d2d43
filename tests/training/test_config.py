"""Settings: typos are caught, dumps come back, every recipe is complete."""

from __future__ import annotations

import tomllib

import pytest

from fourfold.errors import ConfigError
from fourfold.losses.settings import TERMS
from fourfold.networks.catalog import CATALOG
from fourfold.training.config import TrainConfig, dump_toml, parse_config
from fourfold.training.recipes import find_config, load_config, recipe_names

RECIPES = {
    "tiny",
    "srresnet_x2",
    "srresnet_x4",
    "srresnet_x8",
    "srgan_x2",
    "srgan_x4",
    "srgan_x8",
    "finetune_x4",
    "plain_x4",
    "distill",
    "srresnet_fast_x4",
    "srgan_fast_x4",
    "srgan_photo_x4",
    "srgan_photo_fast_x4",
    "srgan_photo_clean_x4",
    "sharpen_photo_x4",
    "srgan_sharper_x4",
    "srgan_real_x4",
}


def filled(name):
    """What a recipe leaves to its user."""
    wants_teacher = "[teacher]" in find_config(name).read_text()
    teacher = ["teacher.model=srgan-x4"] if wants_teacher else []
    return ["data.train=photos", *teacher]


def test_the_recipes_are_there():
    assert set(recipe_names()) == RECIPES


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipe_is_valid_and_survives_a_dump(name):
    config = load_config(name, changes=filled(name))
    assert config.name == name
    assert parse_config(tomllib.loads(dump_toml(config))) == config


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_recipe_explains_itself(name):
    text = find_config(name).read_text()
    assert text.startswith("# ")
    assert "fourfold train" in text


def test_the_papers_values():
    first, second = load_config("srresnet_x4"), load_config("srgan_x4")
    assert (first.steps, first.batch_size, first.data.crop) == (1_000_000, 16, 96)
    assert [(term.kind, term.distance) for term in first.terms] == [("pixel", "mse")]
    assert first.optimizer.learning_rate == 1e-4
    assert (second.steps, second.optimizer.milestones) == (200_000, (100_000,))
    assert [term.kind for term in second.terms] == ["content", "adversarial"]
    assert (second.term("content").layer, second.term("adversarial").weight) == ("vgg54", 1e-3)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"stps": 5}, r"unknown setting stps; did you mean 'steps'\?"),
        ({"data": {"crp": 5}}, r"unknown setting data\.crp; did you mean 'crop'\?"),
        ({"steps": 5, "qqqq": 1}, "unknown setting qqqq; known: batch_size"),
        ({"steps": 0}, r"steps: input should be greater than or equal to 1, got 0"),
        ({"steps": 5, "data": 3}, "data: want a table of settings, got 3"),
        ({"steps": 5}, r"data\.train: want a folder of pictures"),
        ({"data": {"train": "x"}}, "steps: want a value, got none"),
        ({"steps": 5, "data": {"train": "x", "crop": 97}}, r"data\.crop=97: want a multiple of"),
        ({"steps": 5, "model": {"scale": 3}}, r"model\.scale: input should be 2, 4 or 8, got 3"),
        ({"steps": 5, "model": {"width": 0}}, r"model\.width: input should be greater than or eq"),
        (
            {"steps": 5, "model": {"wdth": 3}},
            r"unknown setting model\.wdth; did you mean 'width'\?",
        ),
        (
            {"steps": 5, "model": {"architecture": "plain", "num_blocks": 3}},
            r"unknown setting model\.num_blocks; known: architecture, depth, scale, width",
        ),
        (
            {"steps": 5, "model": {"architecture": "unet"}},
            r"model\.architecture: want one of srresnet, plain, got 'unet'",
        ),
        ({"steps": 5, "model": 3}, "model: want a table of settings, got 3"),
        ({"steps": 5, "losses": {"pxel": 1}}, r"setting losses\.pxel; did you mean 'pixel'\?"),
        ({"steps": 5, "losses": 3}, r"losses: want \[\[losses\]\] tables, got 3"),
        ({"steps": 5, "losses": [3]}, r"losses\.0\.kind: want one of pixel, .*, got 3"),
        (
            {"steps": 5, "losses": [{"kind": "ssim"}]},
            r"losses\.0\.kind: want one of pixel, .*'ssim'",
        ),
        (
            {"steps": 5, "losses": [{"kind": "pixel", "wieght": 1}]},
            r"unknown setting losses\.0\.wieght; did you mean 'weight'\?",
        ),
        (
            {"steps": 5, "losses": [{"kind": "pixel", "weight": -1}]},
            r"losses\.0\.weight: input should be greater",
        ),
        ({"steps": 5, "data": {"train": "x"}, "losses": []}, "want at least one weight above 0"),
        (
            {"steps": 5, "data": {"train": "x"}, "losses": [{"kind": "adversarial"}] * 2},
            "want at most one adversarial term",
        ),
        (
            {"steps": 5, "data": {"train": "x", "crop": 12}, "losses": [{"kind": "content"}]},
            r"data\.crop=12: VGG features want at least 16",
        ),
        (
            {
                "steps": 5,
                "data": {"train": "x"},
                "losses": [{"kind": "pixel", "target": "teacher"}],
            },
            r"a target of teacher wants a teacher; --set teacher\.model=",
        ),
        ({"steps": 5, "data": {"train": "x", "degradation": "mixed"}}, "mixed: for lessons"),
        (
            {"steps": 5, "data": {"train": "x"}, "teacher": {"model": "m", "side": 16}},
            r"data\.crop=96: want at most 64, the lessons of teacher\.side=16",
        ),
        (
            {"steps": 5, "data": {"train": "x"}, "teacher": {"model": "m", "lessons": 9}},
            r"teacher\.lessons=9: want more than teacher\.held_back=16",
        ),
        ({"steps": 5, "precision": "fp8"}, "precision: input should be 'fp32', 'bf16', 'fp16' or"),
    ],
)
def test_a_wrong_setting_is_named(values, said):
    with pytest.raises(ConfigError, match=said):
        parse_config(values)


def test_every_misspelt_key_is_refused():
    def keys(model, prefix=()):
        for name, field in model.model_fields.items():
            yield (*prefix, name)
            if hasattr(field.annotation, "model_fields"):
                yield from keys(field.annotation, (*prefix, name))

    for path in keys(TrainConfig):
        values: dict = {f"{path[-1]}x": 1}
        for table in reversed(path[:-1]):
            values = {table: values}
        with pytest.raises(ConfigError, match="unknown setting"):
            parse_config(values)


def test_every_setting_is_described():
    tables = [TrainConfig, *(f.annotation for f in TrainConfig.model_fields.values())]
    for model in [*tables, *(entry.settings for entry in CATALOG.values()), *TERMS.values()]:
        for name, field in getattr(model, "model_fields", {}).items():
            nested = hasattr(field.annotation, "model_fields")
            assert nested or name == "ema_decay" or field.description, f"{model}.{name}"


def test_changes_on_the_command_line():
    config = load_config(
        "tiny",
        changes=["data.train=a b", "steps=7", "optimizer.learning_rate=2e-4", "losses.pixel=mse"],
    )
    assert config.data.train[0].endswith("/a b")
    assert (config.steps, config.optimizer.learning_rate) == (7, 2e-4)
    assert config.term("pixel").distance == "mse"


def test_the_losses_table_of_old_configs_is_read_with_a_hint(caplog):
    old = {
        "pixel": "l1",
        "pixel_weight": 0.5,
        "content": "vgg22",
        "content_weight": 2.0,
        "content_weights": "random",
        "adversarial_weight": 0.0,
    }
    values = {"steps": 5, "data": {"train": "x"}}
    config = parse_config({**values, "losses": old})
    assert 'today: [[losses]] kind = "pixel"; [[losses]] kind = "content"' in caplog.text
    new = [
        {"kind": "pixel", "distance": "l1", "weight": 0.5},
        {"kind": "content", "layer": "vgg22", "weight": 2.0, "weights": "random"},
    ]
    assert config == parse_config({**values, "losses": new})
    assert parse_config(values).losses == parse_config({**values, "losses": {}}).losses


def test_changes_reach_a_term_by_its_kind():
    changes = [
        "data.train=x",
        "losses.pixel.weight=0.5",
        "losses.pixel.target=teacher",
        "teacher.model=srgan-x4",
        "losses.high_frequency.weight=2",
        "losses.content_weight=0",
    ]
    config = load_config("tiny", changes=changes)
    assert [(t.kind, t.weight, t.target) for t in config.losses] == [
        ("pixel", 0.5, "teacher"),
        ("high_frequency", 2.0, "hr"),
        ("content", 0.0, "hr"),
    ]
    assert [term.kind for term in config.terms] == ["pixel", "high_frequency"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("steps", "want KEY=VALUE"),
        ("steps.x=1", "'steps' is a value, not a table"),
        ("optimizer.lr=1", r"unknown setting optimizer\.lr"),
        ("losses.ssim.weight=1", r"want losses\.KIND\.SETTING, KIND of pixel"),
        ("losses.pixels=1", r"want losses\.KIND\.SETTING"),
        ("losses.pixel.a.b=1", r"want losses\.KIND\.SETTING"),
    ],
)
def test_a_wrong_change_is_named(change, said):
    with pytest.raises(ConfigError, match=said):
        load_config("tiny", changes=[change])


def test_an_unknown_recipe_is_named():
    with pytest.raises(ConfigError, match=r"srresnet_x5: no such .*; did you mean 'srresnet_x"):
        load_config("srresnet_x5")


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text("steps = = 3")
    with pytest.raises(ConfigError, match=r"mine\.toml: not valid TOML"):
        load_config(str(path))
