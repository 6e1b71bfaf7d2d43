"""`fourfold train`: from a folder of photographs to a model that upscales."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from fourfold.cli.verbose import VERBOSE
from fourfold.errors import MissingExtra, UsageError


def train(
    config: str = typer.Argument(
        ..., help="A recipe (tiny, srresnet_x4, srgan_x4, ...), a .toml file or a run folder."
    ),
    changes: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Change a setting, e.g. data.train=photos."
    ),
    resume: bool = typer.Option(False, "--resume", help="Go on from the newest checkpoint."),
    start: str | None = typer.Option(
        None, "--from", metavar="WEIGHTS", help="Model name, file or run folder to begin from."
    ),
    output: Path | None = typer.Option(
        None, "--output", "-o", help="Folder of the run; runs/NAME unless given."
    ),
    verbose: bool = VERBOSE,
) -> None:
    """Train a network, or go on with a run that was interrupted."""
    run_training(config, changes, output=output, start=start, resume=resume)


def run_training(
    config: str, changes: list[str], *, output: Path | None, start: str | None, resume: bool
) -> None:
    """Read a config, train, and say how to use the result."""
    if resume and start:
        raise UsageError("--resume goes on from a run, --from begins a new one; want one of them")
    want_torch()
    from fourfold.training.display import RichDisplay
    from fourfold.training.loop import train as run
    from fourfold.training.recipes import load_config

    settings = load_config(config, changes=changes)
    if output is None:
        output = Path(config) if Path(config).is_dir() else Path("runs") / settings.name
    state = run(settings, output=output, start=start, resume=resume, display=RichDisplay())
    first = os.environ.get("RANK", "0") == "0"  # of several processes, one speaks
    if first and state.step >= settings.steps:
        typer.echo(f"{output}: {state.step} steps; use it with: fourfold upscale -n {output} ...")


def want_torch() -> None:
    """Raise `MissingExtra` in one line where training cannot run."""
    try:
        import torch  # noqa: F401
    except ImportError as error:
        raise MissingExtra("training", "train") from error
