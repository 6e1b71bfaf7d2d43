"""`fourfold models`: list, show, import, export, blend; `search` and `get` stand in catalogue.py."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from fourfold.cli import catalogue
from fourfold.cli.lines import one_line
from fourfold.errors import MissingExtra, UsageError

app = typer.Typer(
    help="List, show, search, get, import, export, quantize and blend models.", no_args_is_help=True
)
app.command()(catalogue.search)
app.command()(catalogue.get)

_Out = typer.Option(..., "-o", "--output", help="File to write.")


@app.command("list")
def list_models() -> None:
    """The bundled models and those that `get` brought, one a line."""
    from fourfold.weights.getting import brought, facts_of
    from fourfold.weights.zoo import BUNDLED, DEFAULT_MODEL, get_model

    for name in BUNDLED:
        model = get_model(name)
        mark = " (default)" if name == DEFAULT_MODEL else ""
        print(f"{name:12}  x{model.scale}  {model.architecture}  {model.license}{mark}")
    for name, path in brought().items():
        facts = facts_of(path)
        known = (
            f"x{facts.get('scale')}",
            str(facts.get("architecture")),
            str(facts.get("license")),
        )
        print("  ".join((f"{name:12}", *map(one_line, known if facts else (str(path),)))))


@app.command()
def show(
    model: str = typer.Argument(..., help="A name, a model file or a training run."),
    as_json: bool = typer.Option(False, "--json", help="The same as one JSON object."),
) -> None:
    """Architecture, size, cost, licence, source and training of a model."""
    from fourfold.runtimes.converted import is_foreign
    from fourfold.weights.zoo import resolve_model_path

    path = resolve_model_path(model)
    facts = _foreign_facts(path) if is_foreign(path) else _own_facts(model)
    if as_json:
        print(json.dumps(facts))
        return
    _print_facts(facts)


def _foreign_facts(path: Path) -> dict[str, Any]:
    """What the weights of another project say, and the catalogue of the model they are."""
    from fourfold.runtimes.converted import open_foreign
    from fourfold.weights.getting import facts_of

    found, told = open_foreign(path), facts_of(path)
    traits = found.whole.traits
    return {
        "name": path.stem,
        **found.facts,
        "sizes": asdict(traits.sizes),
        "halo": "none is exact: tiles are blended" if traits.radius is None else traits.radius,
        "flops_per_output_pixel": round(traits.flops_per_pixel / traits.scale**2),
        "runs by": f"torch ({found.why_torch})" if found.why_torch else "the file converted once",
        "license": told.get("license") or "unknown",
        "author": ", ".join(told.get("author", ())),
        "sha256": found.sha256,
        "training": {},
    }


def _own_facts(model: str) -> dict[str, Any]:
    from fourfold.weights.zoo import get_model

    loaded = get_model(model)
    flops = loaded.graph.flops(loaded.tensors)
    return {
        "name": loaded.name,
        "architecture": loaded.architecture,
        "scale": loaded.scale,
        **loaded.hyperparameters,
        "parameters": loaded.num_parameters,
        "halo": loaded.graph.halo(loaded.tensors),
        "flops_per_output_pixel": round(flops / loaded.scale**2),
        "license": loaded.license,
        "usage": asdict(loaded.usage),
        "int8": f"{loaded.int8.db:.1f} dB against fp32" if loaded.int8 else "",
        "source": loaded.source,
        "training": dict(loaded.training),
        "sha256": loaded.sha256,
    }


def _print_facts(facts: Mapping[str, Any]) -> None:
    """A table: the model, then its scores, then the settings it was trained with."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    training = dict(facts["training"])
    sections = [
        _flat({key: value for key, value in facts.items() if key != "training"}, ""),
        {f"scores on {name}": _scores(s) for name, s in training.pop("scores", {}).items()},
        _flat({key: value for key, value in training.items() if key != "config"}, "trained: "),
        _flat(training.get("config", {}), ""),
    ]
    table = Table(show_header=False, title=escape(str(facts["name"])), title_justify="left")
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for section in sections:
        for key, value in section.items():
            table.add_row(escape(one_line(key)), escape(one_line(str(value))))
        table.add_section()
    Console(highlight=False).print(table)


def _scores(scores: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:.4g}" for name, value in scores.items())


def _flat(values: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif value not in ("", [], None):
            flat[f"{prefix}{key}"] = value
    return flat


@app.command("import")
def import_(
    file: Path = typer.Argument(..., help="Keras .h5 generator or BasicSR MSRResNet .pth."),
    out: Path = _Out,
    license: str = typer.Option("unknown", help="SPDX name of the weights' licence."),
    name: str | None = typer.Option(None, help="Name of the model; the output's by default."),
    half: bool = typer.Option(False, "--half", help="Store as fp16, half the size."),
) -> None:
    """Convert another project's generator to a model file."""
    from dataclasses import replace

    from fourfold.weights.format import save_model
    from fourfold.weights.importing import import_model

    _want_suffix(out, ".safetensors")
    model = replace(import_model(file), name=name or out.stem, license=license)
    save_model(model, out, storage="fp16" if half else "fp32")
    print(f"{out}  {model.architecture} x{model.scale}  {dict(model.hyperparameters)}")


@app.command()
def export(
    model: str = typer.Argument(..., help="Bundled name, .safetensors file or training run."),
    out: Path = _Out,
    card: Path | None = typer.Option(None, help="Also write its OpenModelDB card to this .json."),
    author: str | None = typer.Option(None, help="For the card: the name OpenModelDB has of you."),
    url: list[str] = typer.Option([], help="For the card: where the file can be fetched."),
) -> None:
    """Write a model for other programs, by the name's end.

    .onnx: height and width free. .param: ncnn's text, its .bin beside it. .pth, .safetensors: for
    spandrel, and so ComfyUI and chaiNNer (SRResNet after `import fourfold.spandrel`).
    """
    from fourfold.export.card import check_card, write_card
    from fourfold.export.formats import check_export, export_model
    from fourfold.weights.zoo import get_model

    check_export(out)
    if card is not None:
        _want_suffix(card, ".json", option="--card")
        check_card(out, author)
    elif author or url:
        raise UsageError("--author and --url are for the card: want --card FILE.json as well")
    loaded = get_model(model)
    difference = export_model(loaded, out)
    told = f"differs from torch by at most {difference:.1g} of full scale"
    print(f"{out}  {told if difference else 'holds the same weights'}")
    if card is not None:
        write_card(loaded, out, card, author=author or "", urls=url)
        print(f"{card}  add tags, pictures and addresses before you offer it")


@app.command()
def blend(
    faithful: str = typer.Argument(..., metavar="A", help="The model at texture 0."),
    detailed: str = typer.Argument(..., metavar="B", help="The model at texture 1."),
    texture: float = typer.Option(0.5, help="0 = A, 1 = B."),
    out: Path = _Out,
) -> None:
    """Interpolate two models of one shape in weight space."""
    from fourfold.weights.format import blend_models, save_model
    from fourfold.weights.zoo import get_model

    _want_suffix(out, ".safetensors")
    model = blend_models(get_model(faithful), get_model(detailed), texture=texture)
    save_model(model, out)
    print(f"{out}  {model.name}")


@app.command()
def quantize(
    model: str = typer.Argument(..., help="Bundled name, .safetensors file or training run."),
    out: Path = _Out,
    data: Path = typer.Option(..., help="Photographs to learn from: a folder."),
    judge: Path = typer.Option(..., help="The set it is compared with fp32 on: Set14."),
    steps: int = typer.Option(400, min=0, max=100_000, help="Of fitting the bytes."),
    half: bool = typer.Option(False, "--half", help="Store as fp16, half the size."),
) -> None:
    """Add to a model file what it takes to run in int8, and how near that comes to fp32.

    The other precisions stay as they are. The same inputs give the same file on one machine.
    """
    _want_suffix(out, ".safetensors")
    from dataclasses import replace

    from fourfold.datasets.layouts import find_sources
    from fourfold.evaluation.datasets import load_pair, open_dataset
    from fourfold.weights.format import save_model
    from fourfold.weights.zoo import get_model

    try:
        from fourfold.training.quantise import agreement, practice, quantise
    except ModuleNotFoundError as error:
        raise MissingExtra("models quantize", "torch") from error
    loaded = get_model(model)
    pictures = [s.hr for s in find_sources(data, scale=loaded.scale, made_lr=True)]
    pairs = open_dataset(judge, scale=loaded.scale).pairs
    noisy = loaded.usage.purpose == "photo"
    crops = practice(pictures, scale=loaded.scale, noisy=noisy)
    facts = quantise(loaded, crops, steps=steps)
    seen = [load_pair(pair, scale=loaded.scale)[0] for pair in pairs]
    facts = replace(facts, db=agreement(loaded, facts, seen))
    save_model(replace(loaded, int8=facts), out, storage="fp16" if half else "fp32")
    told = "auto takes it" if facts.is_enough else "auto does not take it"
    print(f"{out}  int8 is {facts.db:.2f} dB from fp32 on {judge.name}; {told}")


def _want_suffix(path: Path, suffix: str, *, option: str = "-o") -> None:
    if path.suffix.lower() != suffix:
        raise UsageError(f"{option} {path}: want a name ending in {suffix}")
