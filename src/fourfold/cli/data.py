"""`fourfold data`: get training pictures, and check a folder of them."""

from __future__ import annotations

from pathlib import Path

import typer

from fourfold.errors import DataError, UsageError

app = typer.Typer(no_args_is_help=True, help="Get training pictures, and check folders of them.")


@app.command()
def prepare(
    dataset: str = typer.Argument(..., help="div2k"),
    folder: Path = typer.Option(Path("datasets/div2k"), "--dir", help="Where the pictures go."),
    track: str = typer.Option(
        "bicubic", "--track", help="bicubic, unknown, mild, difficult or wild."
    ),
    scale: int = typer.Option(4, "--scale", "-s", help="2, 3, 4 or 8."),
    keep_archives: bool = typer.Option(False, "--keep-archives", help="Leave the zip files."),
    mirror: str = typer.Option("", "--mirror", help="Folder URL to fetch the archives from."),
) -> None:
    """Download, check and unpack a data set; the same command goes on where it stopped."""
    from fourfold.cli.bars import Bars
    from fourfold.datasets import div2k

    if dataset.lower() != "div2k":
        raise UsageError(f"data prepare {dataset}: want div2k; any folder of pictures works as is")
    if mirror and not mirror.startswith(("http://", "https://", "file://")):
        raise UsageError(f"--mirror: want an http, https or file URL, got {mirror!r}")
    home = f"{mirror.rstrip('/')}/" if mirror else div2k.HOME
    wanted = div2k.archives(track=track, scale=scale, home=home)
    size = sum(archive.download.size or 0 for archive in wanted)
    typer.echo(f"{len(wanted)} archives, {size / 1e9:.1f} GB, to {folder}")
    with Bars() as bars:
        div2k.prepare(folder, wanted, keep_archives=keep_archives, progress=bars.show)
    count = div2k.verify(folder, track=track, scale=scale)
    typer.echo(f"{folder}: {count} pairs, all of the right size")


@app.command()
def check(
    folder: Path = typer.Argument(..., help="A folder of pictures or of pairs."),
    scale: int = typer.Option(4, "--scale", "-s", help="2, 4 or 8."),
    crop: int = typer.Option(96, "--crop", help="Smallest side that is wanted."),
) -> None:
    """Say what training would find in a folder, and what is wrong with it."""
    from fourfold.datasets.layouts import find_sources, problem_of

    sources = find_sources(folder, scale=scale)
    too_small = f", smaller than the crop of {crop}"
    found = (problem_of(s, scale=scale, min_side=crop, too_small=too_small) for s in sources)
    problems = [problem for problem in found if problem is not None]
    kind = "pairs" if sources[0].lr else "pictures, low resolution will be made"
    typer.echo(f"{folder}: {len(sources)} {kind}")
    if problems:
        for problem in problems:
            typer.echo(problem, err=True)
        raise DataError(f"{folder}: {len(problems)} of {len(sources)} pictures cannot be used")
