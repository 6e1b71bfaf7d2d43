"""BasicSR `MSRResNet` checkpoints (`.pth`) to inference-form tensors.

Names and shapes follow basicsr/archs/srresnet_arch.py; files are read with `weights_only=True`,
so nothing in them is executed.
"""

from __future__ import annotations

import pickle
import re
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
_NAMES: Final = (
    (r"conv_first\.(weight|bias)", r"head.\1"),
    (r"body\.(\d+)\.conv([12])\.(weight|bias)", r"blocks.\1.conv\2.\3"),
    (r"upconv1\.(weight|bias)", r"upsample.0.\1"),
    (r"upconv2\.(weight|bias)", r"upsample.1.\1"),
    (r"conv_hr\.(weight|bias)", r"hr.\1"),
    (r"conv_last\.(weight|bias)", r"tail.\1"),
)
LEAKY_SLOPE: Final = 0.1  # MSRResNet's LeakyReLU; its residual blocks use plain ReLU


def msrresnet_from_basicsr(path: Path) -> tuple[dict[str, Array], dict[str, int]]:
    """Inference-form tensors and `{scale, num_blocks, width}` of an MSRResNet checkpoint.

    Raises `ModelError` naming keys that are missing or left over.
    """
    state = unwrap_state_dict(read_pth(path), source=str(path))
    tensors: dict[str, Array] = {}
    unknown = []
    for key, value in state.items():
        for pattern, name in _NAMES:
            if re.fullmatch(pattern, key):
                tensors[re.sub(pattern, name, key)] = value
                break
        else:
            unknown.append(key)
    if unknown or "head.weight" not in tensors or "upsample.0.weight" not in tensors:
        raise ModelError(
            f"{path}: want a BasicSR MSRResNet (conv_first, body.N.conv1/2, upconv1, conv_hr, "
            f"conv_last), got left-over keys {sorted(unknown)[:8] or 'none'} among "
            f"{sorted(state)[:4]}..."
        )
    shape = _read_shape(tensors)
    width = shape["width"]
    for name in ["head", "hr", *(f"upsample.{j}" for j in range(2))]:
        if f"{name}.weight" in tensors:
            channels = tensors[f"{name}.weight"].shape[0]
            tensors[f"{name}.slope"] = np.full(channels, LEAKY_SLOPE, np.float32)
    for i in range(shape["num_blocks"]):
        tensors[f"blocks.{i}.slope"] = np.zeros(width, np.float32)
    return tensors, shape


def _read_shape(tensors: Mapping[str, Array]) -> dict[str, int]:
    width = int(tensors["head.weight"].shape[0])
    blocks = {int(name.split(".")[1]) for name in tensors if name.startswith("blocks.")}
    factor_squared = tensors["upsample.0.weight"].shape[0] // width
    two_stages = "upsample.1.weight" in tensors
    scale = 4 if two_stages else {4: 2, 9: 3}.get(factor_squared, 2)
    return {"scale": scale, "num_blocks": max(blocks, default=-1) + 1, "width": width}


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
