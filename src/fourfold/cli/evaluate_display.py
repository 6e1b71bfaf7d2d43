"""What `fourfold evaluate` shows on a terminal: a table, and a bar while it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fourfold.evaluation import Scene

_COLUMNS = (
    ("PSNR-Y", "psnr_y", ".2f"),
    ("SSIM-Y", "ssim_y", ".4f"),
    ("PSNR-RGB", "psnr_rgb", ".2f"),
    ("SSIM-RGB", "ssim_rgb", ".4f"),
    ("drift", "drift", ".2f"),
    ("consistency", "consistency_psnr", ".2f"),
    ("s", "seconds", ".2f"),
    ("MP/s", "megapixels_per_second", ".2f"),
)


def print_table(rows: Sequence[dict[str, Any]], written: Sequence[Path]) -> None:
    """One table a dataset; published rows are dimmed and name their source."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:  # a log or a pipe: as wide as the table needs
        console = Console(highlight=False, width=160)
    for dataset, scale in dict.fromkeys((row["dataset"], row["scale"]) for row in rows):
        own = [row for row in rows if (row["dataset"], row["scale"]) == (dataset, scale)]
        title = f"{dataset} x{scale}, {own[0]['images']} pictures"
        if "degradation" in own[0]:
            title += f", {own[0]['degradation']} with seed {own[0]['seed']}"
        table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
        table.add_column("model", no_wrap=True)
        for heading, _, _ in _COLUMNS:
            table.add_column(heading, justify="right", no_wrap=True)
        further = [key for key in own[0] if key.startswith(("lpips", "dists", "niqe"))]
        for key in further:
            table.add_column(key, justify="right")
        for row in own:
            quoted = row.get("published", False)
            name = f"{row['model']}, published" if quoted else row["model"]
            cells = [_cell(row[key], form) for _, key, form in _COLUMNS]
            cells += [_cell(row.get(key), ".4f") for key in further]
            table.add_row(Text(name), *cells, style="dim" if quoted else "")
        console.print(table)
    console.print("Y of BT.601, shave = scale, rounded to 8 bits first; docs/scoring.md.")
    for path in written:
        console.print(Text(f"wrote {path}"))


def _cell(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


@contextmanager
def picture_progress(total: int) -> Iterator[Callable[[Scene], None]]:
    """A bar on stderr that moves with each scored picture."""
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("scoring", total=total)

        def advance(scene: Scene) -> None:
            progress.update(task, advance=1, description=f"{scene.dataset.name}/{scene.image}")

        yield advance


__all__ = ["picture_progress", "print_table"]
