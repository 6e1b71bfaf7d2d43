"""`fourfold models search` and `get`: other people's models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import typer

from fourfold.cli.lines import one_line
from fourfold.errors import UsageError

if TYPE_CHECKING:
    from fourfold.weights.catalogue import Entry

_Live = typer.Option(False, "--live", help="Read the list of today; else that of this version.")


def search(
    text: str = typer.Argument("", help="Words in its name, author, architecture or tags."),
    arch: str | None = typer.Option(None, "--arch", help="Architecture, such as esrgan or span."),
    license: str | None = typer.Option(
        None, "--license", help="SPDX name; commercial: use for money is allowed; none: not named."
    ),
    scale: int | None = typer.Option(None, "--scale", "-s", help="1 (restoration), 2, 4, ..."),
    live: bool = _Live,
    as_json: bool = typer.Option(False, "--json", help="A list of JSON objects."),
) -> None:
    """Find other people's models, newest first."""
    from fourfold.weights.catalogue import catalogue
    from fourfold.weights.catalogue import search as find

    if scale is not None and scale < 1:
        raise UsageError(f"--scale: want 1 or more, got {scale}")
    found = find(catalogue(live=live), text, arch=arch, license=license, scale=scale)
    if as_json:
        print(json.dumps([{**entry.facts(), "restriction": entry.restriction} for entry in found]))
    else:
        _print_table(found)


def _print_table(found: Sequence[Entry]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from fourfold.weights.getting import brought

    here = brought()
    table = Table(box=None, pad_edge=False)
    for title in ("name", "scale", "architecture", "licence", "MB", "author", ""):
        table.add_column(title, overflow="fold")
    for entry in found:
        sizes = [offer.size for offer in entry.offers]
        direct = any(offer.direct for offer in entry.offers)
        state = "here" if entry.id in here else "" if direct else "by browser only"
        table.add_row(
            entry.id,
            f"x{entry.scale}",
            escape(one_line(entry.architecture)),
            escape(one_line(entry.license or "none named")),
            f"{min(sizes) / 1e6:.1f}" if sizes else "",
            escape(one_line(", ".join(entry.author))),
            state,
        )
    Console(highlight=False).print(table)
    typer.echo(f"{len(found)} models", err=True)


def get(
    name: str = typer.Argument(..., help="Name that `search` shows."),
    accept_license: bool = typer.Option(
        False,
        "--accept-license",
        help="Also where commercial use is forbidden or no licence named.",
    ),
    kind: str | None = typer.Option(None, "--kind", help="onnx, safetensors or pth."),
    live: bool = _Live,
) -> None:
    """Download one of other people's models; its name then works in `upscale -n`."""
    from fourfold.cli.bars import Bars
    from fourfold.weights.catalogue import catalogue, find_entry
    from fourfold.weights.getting import get_model_file

    entry = find_entry(catalogue(live=live), name)
    with Bars() as bars:
        path = get_model_file(
            entry,
            accept_license=accept_license,
            kind=kind,
            progress=lambda done, total: bars.show(entry.id, done, total),
        )
    author = one_line(", ".join(entry.author))
    print(f"{entry.id}  x{entry.scale}  {one_line(entry.architecture)}  by {author}")
    print(f"licence: {entry.license or 'none named'}{_warning(entry)}")
    print(f"{path}  run it with: fourfold upscale -n {entry.id} PICTURE")


def _warning(entry: Entry) -> str:
    return f" ({one_line(entry.restriction)})" if entry.restriction else ""
