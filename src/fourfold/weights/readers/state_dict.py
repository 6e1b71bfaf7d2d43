"""Torch's files of weights, `.pth` and `.safetensors`: tensors are read, and nothing is executed."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import MissingExtra, ModelError
from fourfold.weights.tensor_file import refuse_absurd

Array = npt.NDArray[np.float32]

_WRAPPERS: Final = (
    "model_state_dict",
    "state_dict",
    "params_ema",
    "params-ema",
    "params",
    "model",
    "net",
)
_PREFIXES: Final = ("module.", "netG.", "_orig_mod.")


def read_pth(path: Path) -> Any:
    """The content of a `.pth` file, tensors only; `ModelError` for anything executable or broken."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("reading .pth weights", "torch") from error
    refuse_absurd(path, safetensors=False)
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        # torch's advice is to run whatever the file holds; that is not ours.
        raise ModelError(
            f"{path}: want a .pth file of plain tensors, got one that is damaged or holds other "
            "Python objects, which opening would run; where it was made, save "
            "network.state_dict() alone, or get the .safetensors of it"
        ) from error
    except Exception as error:  # zip, storage and torch errors have no common base
        raise ModelError(
            f"{path}: want a .pth file of plain tensors, got a damaged one or no torch file "
            f"({type(error).__name__})"
        ) from error


def read_state_dict(path: Path) -> Any:
    """The content of a `.pth` or `.safetensors` file; `ModelError` as `read_pth` and where it is no dict."""
    if path.suffix.lower() != ".safetensors":
        state = read_pth(path)
    else:
        refuse_absurd(path)
        try:
            from safetensors.torch import load_file

            state = load_file(str(path))
        except Exception as error:  # its errors, those of torch and of the file system
            raise ModelError(
                f"{path}: want a .safetensors file, got an unreadable one ({error})"
            ) from error
    if not isinstance(state, dict) or not state:
        raise ModelError(f"{path}: want a state dict, got {type(state).__name__}")
    return state


def unwrap_state_dict(content: Any, *, source: str) -> dict[str, Array]:
    """The tensors inside the usual wrappers, without `module.` and the like before their names."""
    while isinstance(content, Mapping):
        wrapper = next((key for key in _WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if wrapper is None:
            break
        content = content[wrapper]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"{source}: want a state dict, got {type(content).__name__}")
    found: dict[str, Array] = {}
    for key, value in content.items():
        if not hasattr(value, "detach"):
            raise ModelError(f"{source}: want only tensors, got {type(value).__name__} at {key!r}")
        name = str(key)
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        found[name] = value.detach().float().numpy()
    return found


__all__ = ["read_pth", "read_state_dict", "unwrap_state_dict"]
