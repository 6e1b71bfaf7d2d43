"""`fourfold bench`: megapixels per second of every backend on this machine."""

from __future__ import annotations

import dataclasses
import json

import typer


def bench(
    model: str = typer.Option("srgan-x4", "-n", "--model", help="Bundled name, file or run."),
    size: int = typer.Option(256, min=16, max=4096, help="Side of the LR picture, in pixels."),
    rounds: int = typer.Option(5, min=1, max=100, help="Times each way is run; medians are shown."),
    as_json: bool = typer.Option(False, "--json", help="The same as one JSON object."),
) -> None:
    """Measure output megapixels per second of each backend and precision, in turns."""
    from rich.console import Console
    from rich.table import Table

    from fourfold.engine.bench import measure

    report = measure(model, size=size, rounds=rounds)
    if as_json:
        print(json.dumps(dataclasses.asdict(report)))
        return
    table = Table(title=f"{report.model}, {size}x{size} in, {rounds} rounds in turns, medians")
    for column in ("way", "s", "MP/s out", "GFLOP/s", "ratio"):
        table.add_column(column, justify="left" if column == "way" else "right")
    for rate in report.rates:
        ratio = "-" if rate.ratio is None else f"{rate.ratio:.2f}"
        table.add_row(
            rate.name,
            f"{rate.seconds:.3f}",
            f"{rate.megapixels_per_second:.2f}",
            f"{rate.gflops:.0f}",
            ratio,
        )
    console = Console()
    console.print(table)
    ceiling = ", ".join(f"{name} {value:.0f}" for name, value in report.matmul_gflops.items())
    console.print(f"2048x2048 matrix product on this machine, GFLOP/s: {ceiling}")
