"""Odd and broken files people have: each gets the outcome its kind deserves."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

from tests.made_pictures import Nearest, enlarge, opened

REPOSITORY = Path(__file__).parents[2]
DEFAULT = REPOSITORY / ".." / "shared" / "data" / "real"

REFUSED = {
    "truncated.jpg": "not a readable picture",
    "corrupt-header.jpg": "not a readable picture",
    "l2rgb_read.bmp": "max_pixels",
    "multipage_rgb.tif": "not a readable picture",
}
PAGES = {"G31D_MULTI.TIF": 2, "multipage.tiff": 3, "animated-loop-3.webp": 10}
LARGE = ("G31D_MULTI.TIF", "IMG_5195.HEIC", "gain-map.jpg", "2569067123_aca715a2ee_o.jpg")
SRGB_NOW = ("cmyk", "CMYK", "cielab")


@pytest.fixture(scope="module")
def real() -> Path:
    """Folder with real pictures (`FOURFOLD_REAL`), never part of the repository."""
    path = Path(os.environ.get("FOURFOLD_REAL", DEFAULT))
    if not (path / "MANIFEST.tsv").is_file():
        pytest.skip(f"no real pictures at {path}; set FOURFOLD_REAL to the folder")
    return path.resolve()


def walk(real: Path, tmp_path: Path, *, large: bool) -> None:
    names = [line.split("\t")[0] for line in (real / "MANIFEST.tsv").read_text().splitlines()[1:]]
    inputs = [real / name for name in names if (name in LARGE) == large]
    outcomes = enlarge(*inputs, out=tmp_path)
    problems = []
    for path, outcome in zip(inputs, outcomes, strict=True):
        if path.name in REFUSED:
            good = outcome.status == "failed" and REFUSED[path.name] in outcome.reason
            problems += [] if good else [f"{path.name}: {outcome}"]
        elif outcome.status != "done":
            problems.append(f"{path.name}: {outcome.reason}")
        else:
            problems += [f"{path.name}: {text}" for text in differences(path, outcome)]
    assert not problems, "\n".join(problems)
    assert len(list(tmp_path.iterdir())) == sum(o.status == "done" for o in outcomes)


def test_every_file_gets_what_it_deserves(real: Path, tmp_path: Path) -> None:
    walk(real, tmp_path, large=False)


@pytest.mark.slow
def test_every_large_file_too(real: Path, tmp_path: Path) -> None:
    walk(real, tmp_path, large=True)


def differences(path: Path, outcome: Any) -> list[str]:
    """What the result lost."""
    result = opened(Path(outcome.output))
    found = []
    if outcome.pages != PAGES.get(path.name, 1):
        found.append(f"{outcome.pages} pages")
    try:
        source = pyvips.Image.new_from_file(str(path)).autorot()
        source.avg()
    except pyvips.Error:
        return found  # read by another library; its own tests look at the pixels
    if (result.width, result.height) != (2 * source.width, 2 * source.height):
        found.append(f"is {result.width}x{result.height}")
    if any(mark in path.name for mark in SRGB_NOW):
        return found + ([] if result.bands == 3 else ["not RGB"])
    if (result.bands, result.format) != (source.bands, source.format):
        found.append(f"{result.bands} bands of {result.format}")
    found += lost_fields(source, result)
    if source.hasalpha():
        before = source.numpy()[..., -1].repeat(2, axis=0).repeat(2, axis=1)
        after = result.numpy()[..., -1]
        if ((before == 0) != (after == 0)).any() or ((before == 255) != (after == 255)).any():
            found.append("alpha plateaus moved")
    lossless = Path(outcome.output).suffix in (".png", ".tif", ".tiff")
    if lossless and outcome.pages == 1:
        wanted = source.numpy().repeat(2, axis=0).repeat(2, axis=1).astype(int)
        step = 257 if source.format == "ushort" else 1
        if np.abs(result.numpy().reshape(wanted.shape) - wanted).max() > step:
            found.append("pixels differ by more than one step")
    return found


def lost_fields(source: Any, result: Any) -> list[str]:
    """Metadata that is not what it was."""
    found = []
    for name in ("icc-profile-data", "iptc-data"):
        if source.get_typeof(name):
            kept = result.get(name) if result.get_typeof(name) else None
            if kept != source.get(name):
                found.append(f"{name} changed")
    if source.get_typeof("exif-data") and not result.get_typeof("exif-data"):
        found.append("EXIF lost")
    if source.get_typeof("orientation") and result.get("orientation") != 1:
        found.append("orientation not reset")
    if source.get_typeof("resolution-unit") and abs(result.xres - 2 * source.xres) > 0.05:
        found.append(f"resolution {source.xres} became {result.xres}")
    timing = [name for name in ("delay", "loop") if source.get_typeof(name)]
    found += [f"{name} changed" for name in timing if result.get(name) != source.get(name)]
    return found


@pytest.mark.parametrize("name", ["chip.png", "p3.png", "grey-8bit-alpha.png"])
def test_scratch_on_disk_changes_nothing(real: Path, tmp_path: Path, name: str) -> None:
    shutil.copy(real / name, tmp_path)
    results = []
    for max_memory in (10**9, 64):
        out = tmp_path / str(max_memory)
        (outcome,) = enlarge(tmp_path / name, out=out, upscaler=Nearest(max_memory=max_memory))
        results.append(Path(outcome.output).read_bytes())
    assert results[0] == results[1]
