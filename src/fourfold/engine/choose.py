"""Which model suits a picture or a film, where nobody has named one."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

from fourfold.engine.suits import Verdict
from fourfold.weights.zoo import DEFAULT_MODEL

AUTO: Final = "auto"
"""The name that leaves the choice to `choose`."""

Input = Literal["still", "film"]
"""A picture by itself, or frames one after another."""

CLEAN: Final[dict[Input, str]] = {"still": DEFAULT_MODEL, "film": "srresnet-fast-x4"}
PHOTO: Final[dict[Input, str]] = {"still": "srgan-photo-x4", "film": "srgan-photo-fast-x4"}


class ModelChoice(NamedTuple):
    """A bundled model and, in words for a note, why it was taken."""

    model: str
    why: str


def choose(
    kind: Input,
    *,
    verdict: Verdict | None = None,
    texture: float | None = None,
    denoise: float | None = None,
) -> ModelChoice:
    """The bundled model for a kind of input.

    Args:
        kind: what it is.
        verdict: what it suits by its measured defects; None where it has not been looked at.
        texture, denoise: the 0 to 1 somebody has asked for, None otherwise.
    """
    if texture is not None:
        return ModelChoice(DEFAULT_MODEL, "texture is a blend with it")
    if denoise is not None:
        return ModelChoice(PHOTO[kind], "denoise is a blend with it")
    if verdict is not None:
        return ModelChoice((PHOTO if verdict.kind == "photo" else CLEAN)[kind], verdict.why)
    good = "fast" if kind == "film" else "most detail"
    return ModelChoice(CLEAN[kind], f"{good}; {PHOTO[kind]} where noise or compression is seen")


__all__ = ["AUTO", "CLEAN", "PHOTO", "Input", "ModelChoice", "choose"]
