"""Scores under damage with the truth known: what `--degrade` does to the low-resolution pictures."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fourfold.datasets.degradations import add_gaussian_noise, degrade_real, jpeg
from fourfold.errors import UsageError
from fourfold.imaging.arrays import from_float, to_float

Rgb8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Degradation:
    """One kind of damage; the same seed and name of a picture give the same pixels."""

    name: str
    """`real`, `jpeg:Q` (quality) or `noise:S` (standard deviation in grey levels of 255)."""

    kind: str
    strength: float
    seed: int

    def __call__(self, lr: Rgb8, hr: Rgb8, *, picture: str) -> Rgb8:
        """The damaged input of `picture`, of `lr`'s size; `real` makes it from `hr`, the others of `lr`."""
        # Drawn for each picture by itself, so that a subset of a set sees the same damage.
        rng = np.random.default_rng([self.seed, zlib.crc32(picture.encode())])
        if self.kind == "real":
            return degrade_real(hr, scale=hr.shape[0] // lr.shape[0], rng=rng)
        if self.kind == "jpeg":
            return jpeg(lr, quality=int(self.strength))
        noisy = add_gaussian_noise(to_float(lr), sigma=self.strength / 255, grey=False, rng=rng)
        return from_float(noisy, np.uint8)


def parse_degradation(text: str, *, seed: int) -> Degradation:
    """What `--degrade` says; `UsageError` for anything else.

    >>> parse_degradation("jpeg:60", seed=0).strength
    60.0
    """
    match = re.fullmatch(r"(real)|(jpeg):(\d{1,3})|(noise):(\d{1,3}(?:\.\d+)?)", text)
    if match is None:
        raise UsageError(
            f"--degrade: want real, jpeg:Q (quality 1 to 100) or noise:S (0 to 255), got {text!r}"
        )
    kind = match[1] or match[2] or match[4]
    strength = float(match[3] or match[5] or 0)
    if (kind == "jpeg" and not 1 <= strength <= 100) or strength > 255:
        raise UsageError(
            f"--degrade: want a quality of 1 to 100 or noise of 0 to 255, got {text!r}"
        )
    if seed < 0:
        raise UsageError(f"--seed: want 0 or more, got {seed}")
    return Degradation(text, kind, strength, seed)


__all__ = ["Degradation", "parse_degradation"]
