"""The verdict on measured pictures: which are clean, which are damaged, and why."""

from __future__ import annotations

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fourfold.engine.suits import suits
from fourfold.imaging.arrays import to_float
from fourfold.imaging.defects import Defects, measure
from fourfold.pictures.eight_bit import find_pictures, read_rgb8

ROOT = Path(__file__).parents[2]
CLEAN = Defects(
    noise=0.6, grain=3.9, colour_grain=1.4, blocks=0.0, edges=0.9, fineness=0.68, side=300,
    drawn=False,
)  # fmt: skip
"""The medians of photographs made small."""


def test_median_photographs_of_each_kind() -> None:
    assert suits(CLEAN).kind == "clean"
    for changes, why in (
        ({"blocks": 0.5, "fineness": 0.47, "colour_grain": 0.5, "grain": 2.7}, "JPEG blocks"),
        ({"noise": 9.4, "grain": 12.6, "colour_grain": 6.8, "fineness": 1.4}, "noise of 9.4"),
        ({"edges": 0.62, "fineness": 0.3, "grain": 1.2, "colour_grain": 0.4}, "soft edges"),
    ):
        verdict = suits(replace(CLEAN, **changes))
        assert verdict.kind == "photo"
        assert why in verdict.why


def test_the_header_decides_where_it_is_clear() -> None:
    blocky = replace(CLEAN, blocks=0.4, fineness=0.6)
    assert suits(replace(CLEAN, jpeg_quality=60)) == ("photo", "JPEG of quality 60")
    assert suits(blocky).kind == "photo"
    assert suits(replace(blocky, jpeg_quality=95)).kind == "clean"


def test_drawings_and_tiny_pictures_stay_as_they_are() -> None:
    assert suits(None).kind == "clean"
    chart = replace(CLEAN, noise=0.14, grain=0.22, colour_grain=0.24, fineness=2.15)
    assert suits(chart).kind == "clean"
    assert suits(replace(CLEAN, noise=30, fineness=2, drawn=True)).kind == "clean"


def test_published_inputs_are_clean(bench: Path) -> None:
    for name in ("Set5", "Set14"):
        for path in find_pictures(bench / name / "LR_bicubic" / "X4"):
            assert suits(measure(to_float(read_rgb8(path)))).kind == "clean", path.name


@pytest.fixture
def photographs() -> Path:
    default = ROOT / ".." / "shared" / "data" / "train"
    folder = Path(os.environ.get("FOURFOLD_PHOTOGRAPHS", default))
    if not folder.is_dir():
        pytest.skip(f"no photographs at {folder}; set FOURFOLD_PHOTOGRAPHS to a folder of them")
    return folder


@pytest.mark.slow
def test_a_labelled_set_is_told_apart(photographs: Path) -> None:
    spec = importlib.util.spec_from_file_location("labelled", ROOT / "benchmarks" / "suits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    # The weights were fitted on the other half of the photographs.
    right = [
        (suits(measure(to_float(picture))).kind == "photo") == (label != "clean")
        for label, picture in module.labelled(find_pictures(photographs)[1::2], 200, seed=3)
    ]
    assert np.mean(right) >= 0.95
