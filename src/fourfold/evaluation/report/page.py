"""The report's page: rows and exhibits, filled into `page.html.j2`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.resources import files
from math import isclose
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from fourfold._version import __version__
from fourfold.evaluation.contestants import BICUBIC
from fourfold.evaluation.evaluate import Scene
from fourfold.evaluation.report.pictures import HR, Exhibit, Window, make_exhibit
from fourfold.evaluation.report.plot import plot_svg
from fourfold.metrics.protocol import PROTOCOL

VIEWS_BUDGET: Final = 30_000_000
"""Bytes of whole views before a report shows only crops of the remaining pictures."""

Row = dict[str, Any]

_Pick = Callable[[Sequence[float]], float]
_COLUMNS: Final[tuple[tuple[str, str, str, _Pick | None], ...]] = (
    ("PSNR-Y", "psnr_y", ".2f", max),
    ("SSIM-Y", "ssim_y", ".4f", max),
    ("PSNR-RGB", "psnr_rgb", ".2f", max),
    ("SSIM-RGB", "ssim_rgb", ".4f", max),
    ("colour drift", "drift", ".2f", min),
    ("consistency", "consistency_psnr", ".2f", max),
    ("MP/s", "megapixels_per_second", ".2f", None),
)


class ReportWriter:
    """Collects scenes while they are scored; `html` makes the page."""

    def __init__(self, *, views_budget: int = VIEWS_BUDGET) -> None:
        self._exhibits: list[Exhibit] = []
        self._left = views_budget

    def add(self, scene: Scene) -> None:
        """Encode what the page shows of `scene`; its arrays are not kept."""
        exhibit = make_exhibit(scene, with_views=self._left > 0)
        self._left -= exhibit.num_bytes
        self._exhibits.append(exhibit)

    def html(self, rows: Sequence[Row]) -> str:
        """The whole file: no script, style, font or picture comes from outside."""
        return render(rows, self._exhibits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Column:
    """One figure of the table."""

    name: str
    key: str
    form: str
    best: float | None

    def show(self, value: float) -> str:
        """The figure with its decimals."""
        return f"{value:{self.form}}"

    def is_best(self, row: Row) -> bool:
        """Whether a measured model reaches the best figure of at least two."""
        measured = row["model"] != BICUBIC and not row.get("published")
        return measured and self.best is not None and isclose(row[self.key], self.best)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Section:
    """One data set."""

    title: str
    rows: Sequence[Row]
    columns: Sequence[_Column]
    exhibits: Sequence[Exhibit]


def render(rows: Sequence[Row], exhibits: Sequence[Exhibit]) -> str:
    """Rows and exhibits as one HTML document; every name in them is shown as text."""
    sections = []
    for dataset, scale in dict.fromkeys((row["dataset"], row["scale"]) for row in rows):
        own = [r for r in rows if (r["dataset"], r["scale"]) == (dataset, scale)]
        shown = [e for e in exhibits if (e.dataset, e.scale) == (dataset, scale)]
        title = f"{dataset} x{scale}"
        sections.append(_Section(title=title, rows=own, columns=_columns(own), exhibits=shown))
    here = files("fourfold.evaluation.report")
    style, script = (Markup((here / f"page.{kind}").read_text("utf-8")) for kind in ("css", "js"))
    template = Environment(
        loader=PackageLoader("fourfold.evaluation", "report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
    ).get_template("page.html.j2")
    return template.render(
        rows=rows,
        sections=sections,
        models=list(dict.fromkeys(r["model"] for r in rows if not r.get("published"))),
        datasets=list(dict.fromkeys(r["dataset"] for r in rows)),
        original=HR,
        protocol=PROTOCOL,
        version=__version__,
        style=style,
        script=script,
        describe=_describe,
        place=_place,
        plot=_plot,
    )


def _columns(rows: Sequence[Row]) -> list[_Column]:
    further = [key for key in rows[0] if key.startswith(("lpips", "dists", "niqe"))]
    own = [r for r in rows if not r.get("published") and r["model"] != BICUBIC]
    columns = []
    for name, key, form, pick in (
        *_COLUMNS,
        *((key.replace("_", " "), key, ".4f", min) for key in further),
    ):
        values = [r[key] for r in own if r[key] is not None]
        best = pick(values) if pick and len(values) > 1 else None
        columns.append(_Column(name=name, key=key, form=form, best=best))
    return columns


def _describe(row: Row) -> str:
    """What a measured model ran with."""
    settings = row.get("settings", {})
    words = [str(settings[key]) for key in ("precision", "backend") if key in settings]
    words += [key for key in ("consistency", "tta") if settings.get(key)]
    if row["weights_sha256"]:
        words.append(f"weights {row['weights_sha256'][:8]}")
    return ", ".join(words)


def _plot(section: _Section, *, narrow: bool) -> Markup:
    title = f"PSNR against time on {section.title}"
    return Markup(plot_svg(section.rows, title=title, narrow=narrow))


def _place(window: Window, view: Window) -> list[str] | None:
    """Left, top, width and height of a crop in percent of the view; None when it lies outside."""
    left, top = window.left - view.left, window.top - view.top
    inside = 0 <= left <= view.width - window.width and 0 <= top <= view.height - window.height
    if not inside:
        return None
    shares = (left / view.width, top / view.height, window.width / view.width,
              window.height / view.height)  # fmt: skip
    return [f"{100 * share:.2f}%" for share in shares]


__all__ = ["VIEWS_BUDGET", "ReportWriter", "render"]
