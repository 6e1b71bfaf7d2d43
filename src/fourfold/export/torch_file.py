"""`.pth` and `.safetensors` files that spandrel loads, and so ComfyUI and chaiNNer."""

from __future__ import annotations

from pathlib import Path

from fourfold.errors import MissingExtra
from fourfold.files.paths import atomic_path
from fourfold.weights.format import Model, serialize
from fourfold.weights.torch_layouts import write_state


def export_torch(model: Model, path: Path) -> float:
    """Write the weights in the layout of `torch_layouts`; they are the same numbers, so 0 is returned.

    Raises `ModelError` where the layout cannot hold them, and `MissingExtra` for `.pth` without
    torch.
    """
    state = write_state(model, source=str(path))
    if path.suffix.lower() == ".safetensors":
        facts = {"format": "pt", "license": model.license, "source": model.source}
        with atomic_path(path) as part:
            part.write_bytes(serialize(state, facts))
        return 0.0
    try:
        import torch
    except ImportError as error:
        raise MissingExtra("writing .pth weights", "torch") from error
    tensors = {name: torch.from_numpy(value.copy()) for name, value in state.items()}
    with atomic_path(path) as part:
        torch.save({"params": tensors}, part)
    return 0.0


__all__ = ["export_torch"]
