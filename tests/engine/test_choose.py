"""The model nobody has named."""

from __future__ import annotations

import pytest

from fourfold.engine.choose import AUTO, choose, chosen
from fourfold.weights.zoo import BUNDLED, DEFAULT_MODEL


@pytest.mark.parametrize(
    ("kind", "texture", "wanted"),
    [
        ("still", None, DEFAULT_MODEL),
        ("film", None, "srresnet-x4"),
        ("still", 0.5, DEFAULT_MODEL),
        ("film", 0.5, DEFAULT_MODEL),  # the only one that texture goes with
    ],
)
def test_films_get_the_steadier_one(kind: str, texture: float | None, wanted: str) -> None:
    choice = choose(kind, scale=2, texture=texture)  # type: ignore[arg-type]
    assert choice.model == wanted
    assert wanted in BUNDLED
    assert choice.why
    assert chosen(AUTO, kind, texture=texture) == wanted  # type: ignore[arg-type]
    assert chosen("mine.onnx", kind, texture=texture) == "mine.onnx"  # type: ignore[arg-type]
