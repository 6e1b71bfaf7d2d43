"""Networks of other projects (`.pth`, `.safetensors`), recognised by their tensors through spandrel."""

from __future__ import annotations

import importlib.util
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fourfold.errors import MissingExtra, ModelError
from fourfold.weights.readers.state_dict import read_state_dict

SUFFIXES: Final = (".pth", ".safetensors")

_LARGEST_SIDE: Final = 512
"""Input pixels to each side that a size rule may ask for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A torch module with its weights, and what spandrel says of it."""

    module: Any
    """Takes and gives one NCHW picture with values around [0, 1]."""
    architecture: str
    purpose: str
    """`SR` or `Restoration`."""
    tags: tuple[str, ...]
    scale: int
    channels: int
    multiple: int
    minimum: int
    square: bool


def read_foreign(path: Path) -> Foreign:
    """Read the weights, and nothing but weights, and build the network that they fit.

    Raises `MissingExtra` without spandrel, and `ModelError` for damaged files, for those that hold
    more than tensors, and for networks that do not enlarge or repair whole pictures.
    """
    spandrel = _spandrel()
    state = read_state_dict(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of old calls in networks' own code: nothing to act on
            found = spandrel.ModelLoader().load_from_state_dict(
                spandrel.canonicalize_state_dict(state)
            )
    except spandrel.UnsupportedModelError as error:
        raise ModelError(
            f"{path}: want the weights of a network that spandrel knows, got {len(state)} values "
            "that fit none"
        ) from error
    except Exception as error:  # assertions, missing keys and shapes that do not fit
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(f"{path}: want whole weights of one network, got {reason}") from error
    sizes = found.size_requirements
    channels, whole = (found.input_channels, found.output_channels), found.purpose
    if not isinstance(found, spandrel.ImageModelDescriptor) or whole not in ("SR", "Restoration"):
        raise ModelError(
            f"{path}: want a network that enlarges or repairs pictures, got {found.architecture.name} "
            f"({whole})"
        )
    if channels not in ((3, 3), (1, 1)) or not 1 <= found.scale <= 16:
        raise ModelError(
            f"{path}: want 3 channels or 1, and an enlargement of 1 to 16; got {channels[0]} in, "
            f"{channels[1]} out, x{found.scale}"
        )
    if max(sizes.minimum, sizes.multiple_of) > _LARGEST_SIDE:
        raise ModelError(f"{path}: wants pictures of {sizes.minimum} pixels a side, too large")
    return Foreign(
        module=_module(found),
        architecture=found.architecture.name,
        purpose=whole,
        tags=tuple(found.tags),
        scale=found.scale,
        channels=channels[0],
        multiple=sizes.multiple_of,
        minimum=max(1, sizes.minimum),
        square=sizes.square,
    )


def _spandrel() -> Any:
    feature = "running other projects' .pth and .safetensors networks"
    if any(importlib.util.find_spec(name) is None for name in ("torch", "spandrel")):
        raise MissingExtra(feature, "models")
    try:
        import spandrel
    except (ImportError, RuntimeError) as error:
        # A torchvision of another build than torch fails in its own ways.
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{feature} needs spandrel, which cannot be imported ({reason}); it wants a torchvision "
            "of the same build as torch"
        ) from error
    return spandrel


def _module(found: Any) -> Any:
    """The network as a module of its own, called as spandrel calls it, in fp32."""
    import torch

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = found.model

        def forward(self, lr: Any) -> Any:
            return found._call_fn(self.network, lr)

    return Whole().float().eval().requires_grad_(False)


__all__ = ["SUFFIXES", "Foreign", "read_foreign"]
