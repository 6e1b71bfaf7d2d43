"""`fourfold demo`: pictures that ship with the package, before and after, on one page."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import typer

from fourfold.cli.lines import one_line

CREDITS: Final = {
    "coffee.png": "Photograph by Rachel Michetti, CC0.",
    "rocket.png": "Photograph by SpaceX, public domain.",
}
"""What ships in `bundled/demo`, and by whom."""


def demo(
    out: Path = typer.Option(
        Path("fourfold-demo"), "-o", "--output", metavar="DIR", help="Folder of the page."
    ),
    show: bool | None = typer.Option(
        None,
        "--open/--no-open",
        show_default=False,
        help="Open it in the browser; else only from a terminal.",
    ),
) -> None:
    """Enlarge pictures that come with fourfold, and show them before and after on a page."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    from fourfold.files.paths import atomic_path
    from fourfold.weights.zoo import BUNDLED_DIR

    here = BUNDLED_DIR / "demo"
    pictures = list(_enlarged(here, out))
    template = Environment(
        loader=FileSystemLoader(here), autoescape=True, undefined=StrictUndefined
    ).get_template("page.html.j2")
    style, script = (Markup((here / f"slider.{kind}").read_text("utf-8")) for kind in ("css", "js"))
    page = out / "index.html"
    with atomic_path(page) as part:
        part.write_text(
            template.render(pictures=pictures, style=style, script=script), encoding="utf-8"
        )
    print(one_line(f"{page}  before and after"))
    if sys.stdout.isatty() if show is None else show:
        import webbrowser

        webbrowser.open(page.resolve().as_uri())


def _enlarged(here: Path, out: Path) -> Iterator[dict[str, Any]]:
    """The facts the page shows of each picture; both files lie in `out` by then."""
    from fourfold.jobs.pipeline import run
    from fourfold.jobs.request import Request

    out.mkdir(parents=True, exist_ok=True)
    for name, credit in CREDITS.items():
        shutil.copyfile(here / name, out / name)
        outcome = run(Request(source=out / name, scale=4, overwrite=True))
        assert outcome.path is not None, "a file has a result beside it"
        print(one_line(f"{outcome.output}  {outcome.seconds:.1f} s"), flush=True)
        yield {
            "before": name,
            "after": outcome.path.name,
            "width": outcome.width,
            "height": outcome.height,
            "model": outcome.model,
            "credit": credit,
        }


__all__ = ["demo"]
