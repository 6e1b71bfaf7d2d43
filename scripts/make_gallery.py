"""Make docs/gallery.md and its pictures: bicubic and fourfold under a slider, failures apart.

    python scripts/make_gallery.py FOLDER [-n MODEL] [--failure NAME="what is wrong"]...
    python scripts/make_gallery.py FOLDER --beside realesrgan-x4plus.param [...]   # docs/gallery-real.md

With `--beside` another model's result stands third in a row, without a slider.

FOLDER has a table of its pictures, `MANIFEST.tsv` or another named by `--table`: columns `file`, `licence`
and perhaps `source`, separated by tabs. A picture without a line, or whose licence does not begin with one
of LICENCES, is left out, which is said. Of each picture the part is shown where the two differ most.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

import fourfold
from fourfold.errors import FourfoldError
from fourfold.imaging.resize import imresize
from fourfold.pictures.images import read_pixels

OUT: Final = Path(__file__).parent.parent / "docs"
LICENCES: Final = ("CC0", "Public domain", "CC-BY", "Apache-2.0", "MIT", "BSD")
CROP: Final = (120, 160)
"""Height and width of what is shown, in pixels of the input."""
MOST_PIXELS: Final = 1_000_000
BUDGET: Final = 1_400_000
"""Bytes of all pictures together."""
QUALITIES: Final = (85, 75, 65, 50)

Pixels = npt.NDArray[np.uint8]

HEAD: Final = """# Gallery

Left of the divider the input, enlarged four times by bicubic interpolation; right of it what `fourfold upscale`
makes of the same file. Each crop is where the two differ most. Move the divider with the mouse, a finger or the
arrow keys.
"""

BESIDE_HEAD: Final = """# Real photographs

Pictures as they were found, noisy, compressed, scanned or out of focus; no truth is known, so there is no
score. Left bicubic interpolation, in the middle what `fourfold upscale` makes of the file without options,
right `{beside}`. Each crop is where the first two differ most; follow it for full size.
"""

FAILURES: Final = """
## Where it fails

A network adds what is likely, not what was there. Never read a face, a number plate or a medical detail off
an enlargement.
"""


class Shown(NamedTuple):
    """One picture of the page."""

    name: str
    licence: str
    source: str
    model: str
    pictures: dict[str, Pixels]
    """By whose they are: bicubic, fourfold and perhaps another's."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path, help="FOLDER/MANIFEST.tsv unless given")
    parser.add_argument("-n", "--model", default="auto")
    parser.add_argument("--only", nargs="+", help="names of files, in the page's order")
    parser.add_argument("--failure", action="append", default=[], metavar="NAME=WORDS")
    parser.add_argument("--beside", help="another model, third in a row")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the page")
    given = parser.parse_args()
    failures = dict(text.partition("=")[::2] for text in given.failure)
    table = given.table or given.folder / "MANIFEST.tsv"
    shown = [
        picture
        for name, row in open_rows(table, given.only, failures).items()
        if (picture := show(given.folder / name, row, given.model, given.beside)) is not None
    ]
    write(shown, failures, given.out, given.beside and Path(given.beside).stem)


def open_rows(
    table: Path, only: list[str] | None, failures: dict[str, str]
) -> dict[str, dict[str, str]]:
    """Lines of the table with an open licence, by name of file."""
    with table.open(encoding="utf-8", newline="") as file:
        rows = {row["file"]: row for row in csv.DictReader(file, delimiter="\t")}
    wanted = list(rows) if only is None else [*only, *(n for n in failures if n not in only)]
    for name in wanted:
        if name not in rows:
            raise SystemExit(f"{table}: want a line for {name}, found none")
    kept = {name: rows[name] for name in wanted if rows[name]["licence"].startswith(LICENCES)}
    for name in wanted:
        if name not in kept:
            print(f"left out, not openly licensed: {name} ({rows[name]['licence']})")
    return kept


def show(path: Path, row: dict[str, str], model: str, beside: str | None) -> Shown | None:
    """The telling part of a picture before and after; None for what this page cannot show."""
    try:
        lr = read_pixels(path)
        if (
            lr.dtype != np.uint8
            or lr.ndim != 3
            or lr.shape[2] != 3
            or lr[..., 0].size > MOST_PIXELS
        ):
            print(f"left out, not 8-bit RGB of up to {MOST_PIXELS} pixels: {path.name}")
            return None
        sr, used = upscaled(path, model)
        other = None if beside is None else upscaled(path, beside)
    except FourfoldError as error:
        print(f"left out: {error}")
        return None
    before = imresize(lr, 4)
    box = telling(before, sr)
    licence = row["licence"].partition(" (")[0]
    pictures = {"bicubic": before[box], "fourfold": sr[box]}
    if other is not None:
        pictures[other[1]] = other[0][box]
    return Shown(path.name, licence, row.get("source", ""), used, pictures)


def upscaled(path: Path, model: str) -> tuple[Pixels, str]:
    """What the command makes of a picture, and by which model."""
    with tempfile.TemporaryDirectory() as folder:
        request = fourfold.Request(
            source=str(path), target=f"{folder}/sr.png", scale=4, model=model
        )
        outcome = fourfold.run(request)
        return read_pixels(Path(folder) / "sr.png"), Path(outcome.model).stem


def telling(before: Pixels, after: Pixels) -> tuple[slice, slice]:
    """The window in which the two differ most."""
    height, width = (min(4 * side, whole) for side, whole in zip(CROP, before.shape, strict=False))
    changes = np.abs(before.astype(np.int32) - after).sum(axis=2)
    sums = np.pad(changes.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    in_windows = (
        sums[height:, width:]
        - sums[:-height, width:]
        - sums[height:, :-width]
        + sums[:-height, :-width]
    )
    top, left = np.unravel_index(in_windows.argmax(), in_windows.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


def write(
    shown: list[Shown], failures: dict[str, str], out: Path, beside: str | None = None
) -> None:
    """The page and its pictures, as good as the budget allows; what was there goes."""
    folder = out / ("gallery" if beside is None else "gallery-real")
    folder.mkdir(parents=True, exist_ok=True)
    for quality in QUALITIES:
        for old in folder.glob("*.webp"):
            old.unlink()
        for picture in shown:
            for whose, pixels in picture.pictures.items():
                name = folder / file_name(picture.name, whose)
                Image.fromarray(pixels).save(name, quality=quality, method=6)
        size = sum(path.stat().st_size for path in folder.glob("*.webp"))
        if size <= BUDGET:
            break
    else:
        raise SystemExit(
            f"{len(shown)} pictures take {size} bytes, want {BUDGET}; show fewer (--only)"
        )
    good = [block(p, None, folder.name) for p in shown if p.name not in failures]
    bad = [block(p, failures[p.name], folder.name) for p in shown if p.name in failures]
    head = HEAD if beside is None else BESIDE_HEAD.format(beside=beside)
    page = "\n".join([head, *good, *([FAILURES, *bad] if bad else [])])
    folder.with_suffix(".md").write_text(page, encoding="utf-8")
    print(f"{len(shown)} pictures, {size} bytes, WebP quality {quality}")


def block(picture: Shown, failure: str | None, folder: str) -> str:
    words = [failure, f"`{picture.name}`", f"by `{picture.model}`", picture.licence, picture.source]
    files = {whose: f"{folder}/{file_name(picture.name, whose)}" for whose in picture.pictures}
    if len(files) == 2:
        kind, shown = "compare", [f"![{whose}]({file})" for whose, file in files.items()]
    else:
        kind, shown = "row", [f"[![{whose}]({file})]({file})" for whose, file in files.items()]
    lines = "\n".join(shown)
    return (
        f'<div class="{kind}" markdown>\n{lines}\n</div>\n\n'
        f"{' · '.join(word for word in words if word)}\n"
    )


def file_name(picture: str, whose: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", Path(picture).stem.lower()).strip("-")
    end = {"bicubic": "before", "fourfold": "after"}.get(whose, "beside")
    return f"{slug}-{end}.webp"


if __name__ == "__main__":
    main()
