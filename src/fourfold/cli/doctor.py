"""`fourfold doctor`: what this machine has, and what `auto` picks and why."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import sys

import typer

_PACKAGES = (
    "openvino",
    "onnx",
    "numpy",
    "pyvips",
    "onnxruntime",
    "torch",
    "av",
    "accelerate",
)


def doctor(
    as_json: bool = typer.Option(False, "--json", help="The same as one JSON object."),
) -> None:
    """Show devices, runtimes and precisions, and what `auto` picks here and why."""
    facts = collect()
    if as_json:
        print(json.dumps(facts, indent=2))
        return
    for key, value in facts.items():
        if isinstance(value, dict):
            print(f"{key}:")
            for name, detail in value.items():
                print(f"  {name:12} {detail}")
        else:
            print(f"{key:12} {value}")


def collect() -> dict[str, object]:
    """Everything `doctor` says."""
    from fourfold._version import __version__
    from fourfold.runtimes.openvino import cache_dir, cpu_name, cpu_precisions
    from fourfold.runtimes.select import choose
    from fourfold.weights.zoo import BUNDLED, DEFAULT_MODEL

    choice = choose()
    return {
        "fourfold": __version__,
        "python": f"{sys.version.split()[0]} on {platform.platform()}",
        "cpu": f"{cpu_name()}, {os.cpu_count()} cores, native {', '.join(cpu_precisions())}",
        "models": f"{', '.join(BUNDLED)} (default {DEFAULT_MODEL})",
        "cache": str(cache_dir()),
        "packages": {name: _version(name) for name in _PACKAGES},
        "auto": {
            "backend": choice.backend,
            "device": choice.device,
            "precision": choice.precision,
            "because": choice.why,
        },
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
