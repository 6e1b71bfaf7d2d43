"""What kind of network suits a picture: one for clean pictures, or one that removes damage first.

A pure function of measured defects. Its numbers are a logistic regression fitted by
`benchmarks/suits.py --fit` on photographs made small (clean) and damaged by JPEG, noise and
`degrade_real`; docs/decisions/0073 has what it reaches.
"""

from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Final, Literal, NamedTuple

from fourfold.imaging.defects import Defects

Kind = Literal["clean", "photo"]

POOR_QUALITY: Final = 85
"""JPEG quality in a file's header below which a picture counts as damaged, whatever it shows."""

FINE_QUALITY: Final = 92
"""JPEG quality from which its blocks are too faint to be worth removing."""

WEIGHTS: Final = {
    "noise": 2.782,
    "grain": -1.398,
    "blocks": 4.169,
    "edges": -3.948,
    "fineness": -6.473,
    "rough": 17.983,
    "pale": 3.170,
}
CONSTANT: Final = -2.656
USUAL_PALE: Final = 0.242
"""What pictures in colour have on average; for those without, which do not tell."""

MARGIN: Final = -0.4
SMALL_MARGIN: Final = 1.4
"""Score from which a picture is damaged. Below 100 pixels a side few blocks speak, and a small
picture has no detail to lose, so more is asked."""

SMALL: Final = 100


class Verdict(NamedTuple):
    """The kind, and why in a few words."""

    kind: Kind
    why: str


def suits(defects: Defects | None) -> Verdict:
    """Which kind of network a picture with these defects wants; None (too small to say) is clean."""
    if defects is None:
        return Verdict("clean", "too small to measure")
    if defects.drawn:
        return Verdict("clean", "a drawing: few grey levels")
    quality = defects.jpeg_quality
    if quality is not None and quality < POOR_QUALITY:
        return Verdict("photo", f"JPEG of quality {quality}")
    if quality is not None and quality >= FINE_QUALITY:
        defects = replace(defects, blocks=min(defects.blocks, 0.0))
    margin = SMALL_MARGIN if defects.side < SMALL else MARGIN
    if score(defects) <= margin:
        return Verdict("clean", "neither noise, blocks nor blur")
    return Verdict("photo", _reason(defects))


def score(defects: Defects) -> float:
    """Log-odds that a picture is damaged, before any margin."""
    return CONSTANT + sum(WEIGHTS[name] * value for name, value in features(defects).items())


def features(defects: Defects) -> dict[str, float]:
    """What `WEIGHTS` multiply. Logarithms, since noise twice as strong is one step more."""
    noise, grain = log(defects.noise + 0.3), log(defects.grain + 0.3)
    fineness = log(defects.fineness + 0.01)
    # Grain without colour: JPEG and repeated resizing take colour detail first.
    pale = min(3.0, max(0.0, grain - log(defects.colour_grain + 0.3) - 1))
    return {
        "noise": noise,
        "grain": grain,
        "blocks": 10 * min(0.2, max(-0.02, defects.blocks)),
        "edges": defects.edges,
        "fineness": fineness,
        # Where hardly anything is, a ratio of residuals says nothing: gradients, test charts.
        "rough": max(0.0, fineness - log(0.75)) if defects.noise > 1 else 0.0,
        "pale": pale if defects.colour_grain > 0.05 else USUAL_PALE,
    }


def _reason(defects: Defects) -> str:
    if defects.blocks > 0.06:
        return "JPEG blocks"
    if defects.fineness > 0.8:
        return f"noise of {defects.noise:.1f} of 255"
    return "soft edges" if defects.fineness < 0.45 else f"grain of {defects.noise:.1f} of 255"


__all__ = ["Verdict", "features", "score", "suits"]
