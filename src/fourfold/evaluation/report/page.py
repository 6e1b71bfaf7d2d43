"""The report's page, put together from rows and exhibits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from math import isclose
from typing import Any, Final

from fourfold._version import __version__
from fourfold.evaluation.contestants import BICUBIC
from fourfold.evaluation.evaluate import Scene
from fourfold.evaluation.report.pictures import HR, Exhibit, Window, make_exhibit
from fourfold.evaluation.report.plot import plot_svg
from fourfold.metrics.protocol import PROTOCOL

VIEWS_BUDGET: Final = 30_000_000
"""Bytes of whole views before a report shows only crops of the remaining pictures."""

Row = dict[str, Any]

_COLUMNS: Final = (
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


def render(rows: Sequence[Row], exhibits: Sequence[Exhibit]) -> str:
    """Rows and exhibits as one HTML document."""
    here = files("fourfold.evaluation.report")
    style, script = ((here / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    datasets = list(dict.fromkeys((row["dataset"], row["scale"]) for row in rows))
    sections = []
    for dataset, scale in datasets:
        own_rows = [r for r in rows if (r["dataset"], r["scale"]) == (dataset, scale)]
        shown = [e for e in exhibits if (e.dataset, e.scale) == (dataset, scale)]
        sections.append(_section(f"{dataset} x{scale}", own_rows, shown))
    models = [r["model"] for r in rows if not r.get("published")]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; '
        "img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
        f"<title>fourfold evaluation</title>\n<style>\n{style}</style>\n</head>\n<body>\n"
        f"{_header(rows)}{_toolbar(list(dict.fromkeys(models)))}"
        f"<main>{''.join(sections)}{_protocol()}</main>\n<script>\n{script}</script>\n"
        "</body>\n</html>\n"
    )


def _header(rows: Sequence[Row]) -> str:
    models = dict.fromkeys(r["model"] for r in rows if not r.get("published"))
    datasets = dict.fromkeys(r["dataset"] for r in rows)
    return (
        "<header><h1>Super-resolution, scored</h1>"
        f"<p>{escape(', '.join(models))} on {escape(', '.join(datasets))}. "
        f"{_damage(rows)}fourfold {escape(__version__)}.</p>"
        '<button id="theme" type="button" aria-label="Switch between light and dark">'
        "◐</button></header>\n"
    )


def _damage(rows: Sequence[Row]) -> str:
    if not rows[0].get("degradation"):
        return ""
    return f"Inputs damaged: {escape(rows[0]['degradation'])}, seed {rows[0]['seed']}. "


def _toolbar(models: Sequence[str]) -> str:
    """Two choices that set every slider of the page at once."""
    variants = [*models, HR]
    return (
        '<div class="toolbar" role="group" aria-label="What all sliders compare">'
        "<span>Compare</span>"
        f"{_select(variants, variants[0], 'left', 'Left of all sliders')}<span>with</span>"
        f"{_select(variants, models[-1], 'right', 'Right of all sliders')}</div>\n"
    )


def _section(title: str, rows: Sequence[Row], exhibits: Sequence[Exhibit]) -> str:
    figures = "".join(_exhibit(exhibit) for exhibit in exhibits)
    plot = plot_svg(rows, title=f"PSNR against time on {title}")
    return (
        f"<section><h2>{escape(title)} <small>{rows[0]['images']} pictures</small></h2>"
        f'<div class="summary"><div class="scroll">{_table(rows)}</div>'
        f'<figure class="plot">{plot}</figure></div>{figures}</section>\n'
    )


def _table(rows: Sequence[Row]) -> str:
    further = [key for key in rows[0] if key.startswith(("lpips", "dists", "niqe"))]
    columns = [*_COLUMNS, *((key.replace("_", " "), key, ".4f", min) for key in further)]
    own = [row for row in rows if not row.get("published")]
    best = {
        key: pick(values)
        for _, key, _, pick in columns
        if pick
        and len(values := [r[key] for r in own if r["model"] != BICUBIC and r[key] is not None]) > 1
    }
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name, *_ in columns)
    body = ""
    for row in rows:
        cells = "".join(_cell(row, key, form, best) for _, key, form, _ in columns)
        css = ' class="published"' if row.get("published") else ""
        body += f'<tr{css}><th scope="row">{_model_cell(row)}</th>{cells}<td>{_cost(row)}</td></tr>'
    return (
        f'<table><thead><tr><th scope="col">model</th>{head}<th scope="col">size and cost</th>'
        f"</tr></thead><tbody>{body}</tbody></table>"
    )


def _model_cell(row: Row) -> str:
    name = escape(row["model"])
    if row.get("published"):
        return f"{name}<small>{escape(row['source'])}</small>"
    settings = row.get("settings", {})
    words = [str(settings[key]) for key in ("precision", "backend") if key in settings]
    words += [key for key in ("consistency", "tta") if settings.get(key)]
    if row["weights_sha256"]:
        words.append(f"weights {row['weights_sha256'][:8]}")
    return f"{name}<small>{escape(', '.join(words))}</small>" if words else name


def _cell(row: Row, key: str, form: str, best: Mapping[str, float]) -> str:
    value = row.get(key)
    if value is None:
        return "<td>-</td>"
    wins = key in best and row["model"] != BICUBIC and not row.get("published")
    css = ' class="best"' if wins and isclose(value, best[key]) else ""
    interval = row.get(f"{key}_interval")
    span = f"<small>{interval[0]:.1f} to {interval[1]:.1f}</small>" if interval else ""
    return f"<td{css}>{value:{form}}{span}</td>"


def _cost(row: Row) -> str:
    if not row.get("flops_per_output_pixel"):
        return "-"
    kilo = row["flops_per_output_pixel"] / 1e3
    parameters = f"{row['parameters'] / 1e6:.2f} M weights" if row.get("parameters") else ""
    return f"{parameters}<small>{kilo:.0f} kFLOP per pixel of result</small>"


def _exhibit(exhibit: Exhibit) -> str:
    height, width = exhibit.size
    shown = exhibit.view
    whole = (shown.height, shown.width) == (height, width)
    extent = "" if whole else f", a {shown.width} by {shown.height} part is shown"
    return (
        f'<article class="scene"><h3>{escape(exhibit.image)} '
        f"<small>{width} by {height}{extent}</small></h3>"
        f"{_slider(exhibit) if exhibit.views else ''}{_crops(exhibit)}</article>\n"
    )


def _slider(exhibit: Exhibit) -> str:
    """All variants lie on top of each other; the script shows two and cuts the upper one."""
    names = list(exhibit.views)
    left, right = names[0], names[-2] if len(names) > 1 else names[-1]
    view = exhibit.view
    images = "".join(
        f'<img src="{uri}" data-variant="{escape(name)}" data-note="{escape(exhibit.notes[name])}" '
        f'width="{view.width}" height="{view.height}" alt="{escape(f"{exhibit.image}, {name}")}" '
        'draggable="false">'
        for name, uri in exhibit.views.items()
    )
    marks = "".join(_mark(window, view) for window, _ in exhibit.crops)
    return (
        f'<figure class="compare" style="--w:{view.width};--h:{view.height}"><div class="choice">'
        f"{_select(names, left, 'left', f'Left, {exhibit.image}')}"
        f"{_select(names, right, 'right', f'Right, {exhibit.image}')}</div>"
        f'<div class="stage" style="aspect-ratio:{view.width}/{view.height}">{images}{marks}'
        '<output class="label left"></output><output class="label right"></output>'
        '<div class="divider" aria-hidden="true"></div><input type="range" min="0" max="100" '
        f'step="0.5" value="50" aria-label="Divider of {escape(exhibit.image)}"></div></figure>'
    )


def _select(names: Sequence[str], chosen: str, side: str, label: str) -> str:
    options = "".join(
        f"<option{' selected' if name == chosen else ''}>{escape(name)}</option>" for name in names
    )
    return f'<select data-side="{side}" aria-label="{escape(label)}">{options}</select>'


def _mark(window: Window, view: Window) -> str:
    """Where a crop lies, in percent of the view; nothing when it lies outside."""
    left, top = window.left - view.left, window.top - view.top
    inside = 0 <= left <= view.width - window.width and 0 <= top <= view.height - window.height
    if not inside:
        return ""
    box = (left / view.width, top / view.height, window.width / view.width,
           window.height / view.height)  # fmt: skip
    x, y, w, h = (f"{100 * share:.2f}%" for share in box)
    return f'<i class="mark" style="left:{x};top:{y};width:{w};height:{h}"></i>'


def _crops(exhibit: Exhibit) -> str:
    rows = ""
    for window, row in exhibit.crops:
        cells = "".join(
            f'<figure><img src="{uri}" width="{window.width}" height="{window.height}" '
            f'alt="{escape(f"{name}, detail of {exhibit.image}")}" decoding="async">'
            f"<figcaption><b>{escape(name)}</b>{escape(exhibit.notes[name])}</figcaption></figure>"
            for name, uri in row.items()
        )
        rows += f'<div class="crops" style="--n:{len(row)}">{cells}</div>'
    return (
        f'<p class="hint">Where the results differ most; scores are of the whole picture</p>{rows}'
    )


def _protocol() -> str:
    items = "".join(
        f"<dt>{escape(key.replace('_', ' '))}</dt><dd>{escape(str(value))}</dd>"
        for key, value in PROTOCOL.items()
    )
    return (
        '<section class="protocol"><h2>What the figures mean</h2>'
        "<p>Published rows are quoted from their sources, not measured here. Small ranges are 95 % "
        f"bootstrap intervals of the mean over pictures.</p><dl>{items}</dl></section>"
    )


__all__ = ["VIEWS_BUDGET", "ReportWriter", "render"]
