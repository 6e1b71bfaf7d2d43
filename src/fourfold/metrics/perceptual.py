"""LPIPS and DISTS of stored pictures; what they are stands in `networks.perceptual`."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import MissingExtra, UsageError

if TYPE_CHECKING:
    from torch import Tensor

NETS: Final = ("alex", "vgg")

Rgb8 = npt.NDArray[np.uint8]
Distance = Callable[[Rgb8, Rgb8], float]
"""Of two uint8 `(H, W, 3)` pictures of one size: 0 for equal ones, NaN for ones too small."""


def load_lpips(net: str = "alex") -> Distance:
    """LPIPS 0.1 with AlexNet (`alex`, what papers state) or VGG16 (`vgg`).

    Raises `UsageError` for another net or weights that are not found, `ModelError` for damaged
    ones, `MissingExtra` without torch.
    """
    if net not in NETS:
        raise UsageError(f"--lpips: want one of {', '.join(NETS)}, got {net!r}")
    networks = _networks("LPIPS")
    return _distance(networks.Lpips(net), networks.SMALLEST_SIDE[net])


def load_dists() -> Distance:
    """DISTS with VGG16. Raises as `load_lpips` does."""
    networks = _networks("DISTS")
    return _distance(networks.Dists(), networks.SMALLEST_SIDE["vgg"])


def _networks(what: str) -> Any:
    try:
        from fourfold.networks import perceptual
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        raise MissingExtra(what, "metrics") from error
    return perceptual


def _distance(network: Any, smallest: int) -> Distance:
    import torch

    def picture(image: Rgb8) -> Tensor:
        return torch.from_numpy(image.transpose(2, 0, 1)[None] / np.float32(255))

    def distance(sr: Rgb8, hr: Rgb8) -> float:
        if min(sr.shape[:2]) < smallest:
            return nan
        with torch.inference_mode():
            return float(network(picture(sr), picture(hr)))

    return distance


__all__ = ["NETS", "load_dists", "load_lpips"]
