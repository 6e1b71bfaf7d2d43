"""The card of an exported model, in the form OpenModelDB keeps: `data/models/<id>.json` there."""

from __future__ import annotations

import datetime
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from fourfold.errors import UsageError
from fourfold.files.paths import atomic_path
from fourfold.weights.format import Model

_ARCHITECTURES: Final = {"srresnet": "sr-res-net", "msrresnet": "sr-res-net", "plain": "compact"}
"""OpenModelDB's names of them."""

_PLATFORMS: Final = {".pth": "pytorch", ".safetensors": "pytorch", ".onnx": "onnx"}

_TAGS: Final = {"clean": ["general-upscaler"], "photo": ["photo", "restoration"]}
"""By the purpose that the model's file states."""


def check_card(exported: Path, author: str | None) -> None:
    """Raise `UsageError` where no card can be written of a file with this name."""
    if exported.suffix.lower() not in _PLATFORMS:
        raise UsageError(
            f"--card: OpenModelDB lists {', '.join(_PLATFORMS)} files, not {exported.suffix}"
        )
    if not author:
        raise UsageError("--card: want --author as well, as OpenModelDB has it")


def write_card(
    model: Model, exported: Path, path: Path, *, author: str, urls: Sequence[str] = ()
) -> None:
    """Write the card of `exported` as JSON to `path`: facts of the model, size and SHA-256 of the file.

    What only people know is left for them to fill in: more tags, pictures, and the addresses where
    none are given.
    """
    with atomic_path(path) as part:
        card = build_card(model, exported, author=author, urls=urls)
        part.write_text(json.dumps(card, indent=4, ensure_ascii=False) + "\n", encoding="utf-8")


def build_card(
    model: Model, exported: Path, *, author: str, urls: Sequence[str] = ()
) -> dict[str, Any]:
    """The card as JSON holds it (the fields of OpenModelDB's src/lib/schema.ts)."""
    content = exported.read_bytes()
    shape, training = model.hyperparameters, model.training
    depth = f"{shape['depth']}nc" if "depth" in shape else f"{shape.get('num_blocks', 0)}nb"
    steps = training.get("step")
    return {
        "name": model.name,
        "author": author,
        "license": None if model.license == "unknown" else model.license,
        "tags": _TAGS[model.usage.purpose],
        "description": _description(model),
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "architecture": _ARCHITECTURES.get(model.architecture, model.architecture),
        "size": [f"{shape['width']}nf", depth] if "width" in shape else None,
        "scale": model.scale,
        "inputChannels": 3,
        "outputChannels": 3,
        "resources": [
            {
                "platform": _PLATFORMS[exported.suffix.lower()],
                "type": exported.suffix.lower().removeprefix("."),
                "size": len(content),
                "sha256": hashlib.sha256(content).hexdigest(),
                "urls": list(urls),
            }
        ],
        **({"trainingIterations": steps} if isinstance(steps, int) else {}),
        "images": [],
    }


def _description(model: Model) -> str:
    """Markdown: what it is for, what it learned from, its scores, where it came from."""
    lines = [
        f"x{model.scale} {model.architecture}, made with fourfold, for pictures that are "
        + (
            "noisy or compressed"
            if model.usage.purpose == "photo"
            else "free of noise and compression"
        )
        + f". Low resolution it learned from: {', '.join(model.usage.degradations)}."
    ]
    for name, scores in model.training.get("scores", {}).items():
        listed = ", ".join(f"{metric} {value:.4g}" for metric, value in scores.items())
        lines.append(f"Scores on {name}: {listed}.")
    if model.source:
        lines.append(f"Source: {model.source}.")
    return "\n\n".join(lines)


__all__ = ["build_card", "check_card", "write_card"]
