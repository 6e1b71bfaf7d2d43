"""The model nobody has named."""

from __future__ import annotations

import pytest

from fourfold.engine.choose import CLEAN, PHOTO, Input, choose
from fourfold.engine.suits import Verdict
from fourfold.weights.zoo import BUNDLED, DEFAULT_MODEL, get_model

CLEAN_ONE, DAMAGED = Verdict("clean", "nothing"), Verdict("photo", "JPEG of quality 40")


@pytest.mark.parametrize(
    ("kind", "verdict", "wanted"),
    [
        ("still", None, DEFAULT_MODEL),
        ("still", CLEAN_ONE, DEFAULT_MODEL),
        ("still", DAMAGED, "srgan-photo-x4"),
        ("film", None, "srresnet-fast-x4"),
        ("film", CLEAN_ONE, "srresnet-fast-x4"),
        ("film", DAMAGED, PHOTO["film"]),
    ],
)
def test_damage_and_kind_decide(kind: Input, verdict: Verdict | None, wanted: str) -> None:
    choice = choose(kind, verdict=verdict)
    assert choice.model == wanted
    assert choice.why
    if verdict is not None:
        assert choice.why == verdict.why


@pytest.mark.parametrize("kind", ["still", "film"])
def test_an_option_of_one_family_means_that_family(kind: Input) -> None:
    assert choose(kind, verdict=DAMAGED, texture=0.5).model == DEFAULT_MODEL
    assert choose(kind, verdict=CLEAN_ONE, denoise=0.5).model == PHOTO[kind]


def test_every_choice_is_bundled_and_of_its_purpose() -> None:
    for names, purpose in ((CLEAN, "clean"), (PHOTO, "photo")):
        for name in names.values():
            assert name in BUNDLED
            assert get_model(name).usage.purpose == purpose
            assert get_model(name).scale == 4
