"""Torch's files of weights, `.pth` and `.safetensors`: tensors are read, and nothing is executed."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import MissingExtra, ModelError
from fourfold.weights.tensor_file import LARGEST, refuse_absurd

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
_DEEPEST: Final = 4
"""Dicts inside each other; a file may hold one that contains itself."""
_LARGEST_SIDE: Final = 1 << 20
"""Of a tensor; networks are made as wide as their tensors say."""


def read_pth(path: Path) -> Any:
    """The content of a `.pth` file, tensors only; `ModelError` for anything executable or broken."""
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("reading .pth weights", "torch") from error
    refuse_absurd(path, safetensors=False)
    _refuse_packed(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
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
    _refuse_claims(path, content)
    return content


def _refuse_packed(path: Path) -> None:
    """A `.pth` is a zip whose members are stored as they are; packed ones could be of any size."""
    try:
        with zipfile.ZipFile(path) as file:
            members = file.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return  # torch has older formats, and errors of its own
    packed = any(member.compress_type != zipfile.ZIP_STORED for member in members)
    if packed or sum(member.file_size for member in members) > LARGEST:
        raise ModelError(
            f"{path}: want a .pth file as torch saves weights, got a packed zip, which may be of any "
            "size, or a program"
        )


def _refuse_claims(path: Path, content: Any) -> None:
    """Names and shapes are a few bytes, but the network built by them would be of their size."""
    found = list(_tensors(content))
    most = 4 * len(found) + 64  # layers without weights are counted too
    for name, tensor in found:
        layer = max((int(part[:9]) for part in name.split(".") if part.isdecimal()), default=0)
        if layer > most or max(tensor.shape, default=0) > _LARGEST_SIDE:
            raise ModelError(
                f"{path}: {name[:60]} of shape {tuple(tensor.shape)} among {len(found)} tensors: damaged "
                "or not what its name says"
            )
    if sum(tensor.numel() * tensor.element_size() for _, tensor in found) > LARGEST:
        raise ModelError(f"{path}: tensors that claim more than {LARGEST / 1e9:.1f} GB")


def _tensors(content: Any, depth: int = _DEEPEST) -> Iterator[tuple[str, Any]]:
    if isinstance(content, Mapping) and depth:
        for key, value in content.items():
            if hasattr(value, "element_size"):
                yield str(key), value
            else:
                yield from _tensors(value, depth - 1)


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
        _refuse_claims(path, state)
    if not isinstance(state, dict) or not state:
        raise ModelError(f"{path}: want a state dict, got {type(state).__name__}")
    return state


def unwrap_state_dict(content: Any, *, source: str) -> dict[str, Array]:
    """The tensors inside the usual wrappers, without `module.` and the like before their names."""
    for _ in range(_DEEPEST):
        if not isinstance(content, Mapping):
            break
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
