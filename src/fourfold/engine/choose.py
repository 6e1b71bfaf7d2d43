"""Which model suits a picture or a film, where nobody has named one."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal, NamedTuple

from fourfold.weights.zoo import DEFAULT_MODEL

AUTO: Final = "auto"
"""The name that leaves the choice to `choose`."""

_STEADY: Final = "srresnet-x4"


class ModelChoice(NamedTuple):
    """A bundled model and, in words for a note, why it was taken."""

    model: str
    why: str


def choose(
    kind: Literal["still", "film"], *, scale: float | None = None, texture: float | None = None
) -> ModelChoice:
    """The bundled model for a kind of input.

    Args:
        kind: a picture by itself, or frames one after another.
        scale: times as large as the input, None for the network's own or where a frame is filled.
            Nothing depends on it while every bundled model enlarges four times.
        texture: the 0 to 1 somebody has asked for, None otherwise.
    """
    if kind == "film" and texture is None:
        return ModelChoice(_STEADY, "it flickers least of the bundled models (-n takes another)")
    if texture is not None:
        return ModelChoice(DEFAULT_MODEL, "texture is a blend with it")
    return ModelChoice(DEFAULT_MODEL, "it shows most detail of the bundled models")


def chosen(
    model: str | Path,
    kind: Literal["still", "film"],
    *,
    scale: float | None = None,
    texture: float | None = None,
) -> str | Path:
    """`model` itself, or what `choose` takes where it is `auto`."""
    return choose(kind, scale=scale, texture=texture).model if model == AUTO else model


__all__ = ["AUTO", "ModelChoice", "choose", "chosen"]
