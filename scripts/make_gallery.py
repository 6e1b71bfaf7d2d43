"""Make docs/gallery.md and its pictures: bicubic and fourfold under a slider, failures apart.

    python scripts/make_gallery.py FOLDER [-n MODEL] [--failure NAME="what is wrong"]...

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
    before: Pixels
    after: Pixels


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--table", type=Path, help="FOLDER/MANIFEST.tsv unless given")
    parser.add_argument("-n", "--model", default="auto")
    parser.add_argument("--only", nargs="+", help="names of files, in the page's order")
    parser.add_argument("--failure", action="append", default=[], metavar="NAME=WORDS")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of gallery.md")
    given = parser.parse_args()
    failures = dict(text.partition("=")[::2] for text in given.failure)
    table = given.table or given.folder / "MANIFEST.tsv"
    shown = [
        picture
        for name, row in open_rows(table, given.only, failures).items()
        if (picture := show(given.folder / name, row, given.model)) is not None
    ]
    write(shown, failures, given.out)


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


def show(path: Path, row: dict[str, str], model: str) -> Shown | None:
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
        with tempfile.TemporaryDirectory() as folder:
            request = fourfold.Request(
                source=str(path), target=f"{folder}/sr.png", scale=4, model=model
            )
            outcome = fourfold.run(request)
            sr = read_pixels(Path(folder) / "sr.png")
    except FourfoldError as error:
        print(f"left out: {error}")
        return None
    before = imresize(lr, 4)
    box = telling(before, sr)
    licence = row["licence"].partition(" (")[0]
    return Shown(path.name, licence, row.get("source", ""), outcome.model, before[box], sr[box])


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


def write(shown: list[Shown], failures: dict[str, str], out: Path) -> None:
    """The page and its pictures, as good as the budget allows; what was there goes."""
    folder = out / "gallery"
    folder.mkdir(parents=True, exist_ok=True)
    for quality in QUALITIES:
        for old in folder.glob("*.webp"):
            old.unlink()
        for picture in shown:
            for side, pixels in (("before", picture.before), ("after", picture.after)):
                name = folder / f"{slug(picture.name)}-{side}.webp"
                Image.fromarray(pixels).save(name, quality=quality, method=6)
        size = sum(path.stat().st_size for path in folder.glob("*.webp"))
        if size <= BUDGET:
            break
    else:
        raise SystemExit(
            f"{len(shown)} pictures take {size} bytes, want {BUDGET}; show fewer (--only)"
        )
    good = [block(p, None) for p in shown if p.name not in failures]
    bad = [block(p, failures[p.name]) for p in shown if p.name in failures]
    page = "\n".join([HEAD, *good, *([FAILURES, *bad] if bad else [])])
    (out / "gallery.md").write_text(page, encoding="utf-8")
    print(f"{len(shown)} pictures, {size} bytes, WebP quality {quality}")


def block(picture: Shown, failure: str | None) -> str:
    name = slug(picture.name)
    words = [failure, f"`{picture.name}`", f"by `{picture.model}`", picture.licence, picture.source]
    return (
        f'<div class="compare" markdown>\n'
        f"![bicubic](gallery/{name}-before.webp)\n![fourfold](gallery/{name}-after.webp)\n</div>\n\n"
        f"{' · '.join(word for word in words if word)}\n"
    )


def slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", Path(name).stem.lower()).strip("-")


if __name__ == "__main__":
    main()
