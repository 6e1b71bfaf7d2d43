"""What is compared: models as users run them, and bicubic enlargement as the floor."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import UsageError
from fourfold.imaging.resize import imresize
from fourfold.weights.zoo import BUNDLED

if TYPE_CHECKING:
    from fourfold.engine.upscaler import Upscaler

Rgb8 = npt.NDArray[np.uint8]
Upscale = Callable[[Rgb8], Rgb8]
"""uint8 `(H, W, 3)` to uint8 `(scale * H, scale * W, 3)`."""

BICUBIC: Final = "bicubic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Contestant:
    """A way to enlarge pictures, and what it takes to name and weigh it."""

    name: str
    scale: int
    upscale: Upscale
    weights_sha256: str | None = None
    parameters: int | None = None
    """Weights of the network as it runs: BatchNorm folded, structural zeros not counted."""

    flops_per_output_pixel: float | None = None
    """Of the convolutions, two per multiply-add, all passes of `tta` counted."""

    settings: Mapping[str, Any] = field(default_factory=dict)


def bicubic(scale: int) -> Contestant:
    """MATLAB's `imresize(lr, scale)` on 8-bit pictures."""
    return Contestant(name=BICUBIC, scale=scale, upscale=lambda lr: imresize(lr, scale))


def load_contestants(names: list[str], **options: Any) -> list[Contestant]:
    """Open each model with the same `Upscaler` options; nothing is compiled yet.

    `UsageError` for a model named twice; what `Upscaler` raises for one that does not load.
    """
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise UsageError(f"-n: want different models, got {doubled[0]} more than once")
    short = Counter(_short_name(name) for name in names)
    return [
        load_contestant(name, label=_short_name(name) if short[_short_name(name)] == 1 else name,
                        **options)
        for name in names
    ]  # fmt: skip


def load_contestant(name: str, *, label: str, **options: Any) -> Contestant:
    """One model through the `Upscaler` users get."""
    from fourfold.engine.upscaler import Upscaler

    return from_upscaler(Upscaler(name, **options), label=label)


def from_upscaler(upscaler: Upscaler, *, label: str) -> Contestant:
    """An open `Upscaler` as a contestant; training scores its networks through this."""
    network, choice = upscaler.network, upscaler.choice
    passes = 8 if upscaler.tta else 1
    traits = network.whole.traits
    flops = passes * traits.flops_per_pixel / network.scale**2
    return Contestant(
        name=label,
        scale=upscaler.scale,
        upscale=upscaler.upscale,
        weights_sha256=network.sha256,
        parameters=traits.parameters or None,
        flops_per_output_pixel=flops or None,
        settings={
            "backend": choice.backend,
            "device": choice.device,
            "precision": choice.precision,
            "consistency": upscaler.consistency,
            "tta": upscaler.tta,
        },
    )


def _short_name(name: str) -> str:
    """A bundled name as it is; a run folder's name; a file's stem."""
    if name in BUNDLED:
        return name
    path = Path(name).absolute()
    return path.name if path.is_dir() else path.stem


__all__ = [
    "BICUBIC",
    "Contestant",
    "Upscale",
    "bicubic",
    "from_upscaler",
    "load_contestant",
    "load_contestants",
]
