"""The terms a loss is summed from, as a config names them: `[[losses]]`, `kind = "pixel"`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, Union

from pydantic import Field

from fourfold.networks.settings import Settings


class Term(Settings):
    """One part of what the generator minimises."""

    kind: str
    """What is compared."""
    weight: Annotated[float, Field(ge=0)] = 1.0
    """Factor in the sum; 0 leaves the term out."""
    target: Literal["hr", "teacher"] = "hr"
    """What the result is compared with: the original, or a teacher's enlargement."""


class PixelTerm(Term):
    """Difference of pictures, in 8-bit grey levels."""

    kind: Literal["pixel"] = "pixel"
    """Differences pixel by pixel."""
    distance: Literal["mse", "l1", "charbonnier"] = "l1"
    """`mse`, `l1`, or `charbonnier`, which is L1 rounded off near zero."""


class HighFrequencyTerm(Term):
    """Difference of what a 3x3 mean removes from the pictures, in 8-bit grey levels."""

    kind: Literal["high_frequency"] = "high_frequency"
    """Differences of fine detail."""
    distance: Literal["mse", "l1", "charbonnier"] = "l1"
    """As of `pixel`."""


class ContentTerm(Term):
    """Distance between VGG features (Ledig et al. 2017, equation 5)."""

    kind: Literal["content"] = "content"
    """Differences of features."""
    layer: str = "vgg54"
    """VGG layer as the paper names it: vgg54, vgg22, or any vggij (block i, convolution j)."""
    network: Literal["vgg16", "vgg19"] = "vgg19"
    """VGG19 in the paper. VGG16 ends at vgg53."""
    weights: str = ""
    """File with VGG weights (.h5 of Keras, .pth of torchvision, .safetensors); empty: downloaded
    once; `random`: for timing and tests only."""
    preprocessing: Literal["auto", "caffe", "torchvision"] = "auto"
    """Input the VGG weights want; `auto` goes by the file."""
    relu: Literal["after", "before"] = "after"
    """Features after the ReLU (SRGAN as Keras has it) or before it (ESRGAN, BasicSR)."""
    distance: Literal["mse", "l1"] = "mse"
    """Distance of features: `mse` (SRGAN) or `l1` (ESRGAN, BasicSR)."""
    scale: Annotated[float, Field(gt=0)] = 12.75
    """Features are divided by it; 12.75 in the paper."""


class LpipsTerm(Term):
    """LPIPS (Zhang et al. 2018), with weights from `$FOURFOLD_METRICS`."""

    kind: Literal["lpips"] = "lpips"
    """Learned distance of features."""
    net: Literal["vgg", "alex"] = "vgg"
    """Network whose features are compared; results are judged with the other one, AlexNet."""


class SteadyTerm(Term):
    """What changes in the enlargement of a picture that only moves, in 8-bit grey levels: for films."""

    kind: Literal["steady"] = "steady"
    """The enlargement of a crop that is shifted and zoomed a little, against the moved enlargement."""
    target: Literal["hr"] = "hr"
    """Without meaning: results are compared with each other."""
    distance: Literal["mse", "l1", "charbonnier"] = "l1"
    """As of `pixel`."""
    noise: Annotated[float, Field(ge=0)] = 1.0
    """Standard deviation of what the moved crop gets, in steps of 255."""


class DriftTerm(Term):
    """What the consistency step has to put right in the network's own result, in 8-bit grey levels.

    For runs with `consistency = true`, whose other terms see the result only after that step.
    """

    kind: Literal["drift"] = "drift"
    """How far colours and broad structures have drifted from the input's."""
    target: Literal["hr"] = "hr"
    """Without meaning: the result is compared with its own consistent form."""
    distance: Literal["mse", "l1", "charbonnier"] = "l1"
    """As of `pixel`."""


class AdversarialTerm(Term):
    """How well a discriminator tells results from the target, as SRGAN has it."""

    kind: Literal["adversarial"] = "adversarial"
    """The opinion of a discriminator that is trained along."""
    weight: Annotated[float, Field(ge=0)] = 1e-3
    """1e-3 in the paper, where the rest is a content loss."""


TERMS: Final[Mapping[str, type[Term]]] = {
    "pixel": PixelTerm,
    "high_frequency": HighFrequencyTerm,
    "content": ContentTerm,
    "lpips": LpipsTerm,
    "steady": SteadyTerm,
    "drift": DriftTerm,
    "adversarial": AdversarialTerm,
}

if TYPE_CHECKING:
    LossTerm = Term
else:
    LossTerm = Annotated[Union[tuple(TERMS.values())], Field(discriminator="kind")]  # noqa: UP007

_OLD_KEYS: Final[Mapping[str, tuple[str, str]]] = {
    "pixel": ("pixel", "distance"),
    "pixel_weight": ("pixel", "weight"),
    "content": ("content", "layer"),
    "content_weight": ("content", "weight"),
    "content_network": ("content", "network"),
    "content_weights": ("content", "weights"),
    "content_preprocessing": ("content", "preprocessing"),
    "content_relu": ("content", "relu"),
    "content_distance": ("content", "distance"),
    "content_scale": ("content", "scale"),
    "adversarial_weight": ("adversarial", "weight"),
}
"""Keys of the `[losses]` table of version 0.1: (kind of the term, its setting)."""

_OLD_DEFAULTS: Final = {"pixel": "mse", "content_weight": 0.0, "adversarial_weight": 0.0}


def old_key(name: str) -> tuple[str, str] | None:
    """Kind and setting that a key of the old table means today.

    >>> old_key("content_network")
    ('content', 'network')
    """
    return _OLD_KEYS.get(name)


def terms_of_table(table: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The terms an old `[losses]` table asks for; its keys must be known.

    >>> terms_of_table({"pixel": "l1"})
    [{'kind': 'pixel', 'distance': 'l1'}]
    """
    terms: dict[str, dict[str, Any]] = {}
    for key, value in {**_OLD_DEFAULTS, **table}.items():
        kind, setting = _OLD_KEYS[key]
        terms.setdefault(kind, {"kind": kind})[setting] = value
    return [term for term in terms.values() if term.get("weight", 1.0) != 0]


OLD_KEYS: Final = tuple(_OLD_KEYS)


def term_names(terms: Sequence[Term]) -> list[str]:
    """A name of its own for each term, by which a run reports it.

    >>> term_names([PixelTerm(), PixelTerm(target="teacher"), PixelTerm()])
    ['pixel', 'pixel_teacher', 'pixel_2']
    """
    names: list[str] = []
    kinds: list[str] = []
    for term in terms:
        name = term.kind if term.target == "hr" else f"{term.kind}_{term.target}"
        again = sum(kind == name for kind in kinds)
        kinds.append(name)
        names.append(f"{name}_{again + 1}" if again else name)
    return names


__all__ = [
    "OLD_KEYS",
    "TERMS",
    "AdversarialTerm",
    "ContentTerm",
    "DriftTerm",
    "HighFrequencyTerm",
    "LossTerm",
    "LpipsTerm",
    "PixelTerm",
    "SteadyTerm",
    "Term",
    "old_key",
    "term_names",
    "terms_of_table",
]
