"""Broken bytes of every format: done or refused by name, never a crash, a hang or half a file."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.made_pictures import enlarge, image

DEFAULT = Path(__file__).parents[2] / ".." / "shared" / "data" / "real"
SUFFIXES = (".png", ".jpg", ".webp", ".gif", ".tiff", ".avif", ".bmp", ".ico", ".jp2", ".tga")


def whole(suffix: str) -> bytes:
    from io import BytesIO

    from PIL import Image

    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    if suffix in (".bmp", ".ico", ".jp2", ".tga"):
        content = BytesIO()
        names = {".bmp": "BMP", ".ico": "ICO", ".jp2": "JPEG2000", ".tga": "TGA"}
        Image.fromarray(pixels).save(content, names[suffix])
        return content.getvalue()
    return image(pixels).write_to_buffer(suffix)


def corpus() -> list[tuple[str, bytes]]:
    folder = Path(os.environ.get("FOURFOLD_REAL", DEFAULT))
    small = [p for p in sorted(folder.glob("*")) if p.is_file() and p.stat().st_size < 60_000]
    made = [(suffix, whole(suffix)) for suffix in SUFFIXES]
    return made + [(p.suffix, p.read_bytes()) for p in small if p.suffix != ".tsv"]


CORPUS = corpus()
PATCH = st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8))


def check(folder: Path, suffix: str, content: bytes) -> None:
    path = folder / f"a{suffix}"
    path.write_bytes(content)
    out = folder / "out"
    (outcome,) = enlarge(path, out=out, max_pixels=4_000_000, overwrite=True)
    left = list(out.iterdir()) if out.exists() else []
    if outcome.status == "done":
        assert [str(p) for p in left] == [outcome.output]
        left[0].unlink()
    else:
        assert not left
        assert str(path) in outcome.reason
        assert "bug" not in outcome.reason, outcome.reason


def damaged(content: bytes, patches: list[tuple[float, bytes]], kept: float) -> bytes:
    changed = bytearray(content)
    for where, patch in patches:
        start = int(where * len(changed))
        changed[start : start + len(patch)] = patch
    return bytes(changed[: max(1, int(kept * len(changed)))])


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(CORPUS[: len(SUFFIXES)]), st.lists(PATCH, max_size=4), st.floats(0.3, 1))
def test_a_few_damaged_files(tmp_path_factory, start, patches, kept) -> None:
    check(tmp_path_factory.mktemp("fuzz"), start[0], damaged(start[1], patches, kept))


@pytest.mark.fuzz
@settings(max_examples=5000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(CORPUS), st.lists(PATCH, max_size=6), st.floats(0.05, 1.5))
def test_many_damaged_files(tmp_path_factory, start, patches, kept) -> None:
    check(tmp_path_factory.mktemp("fuzz"), start[0], damaged(start[1], patches, kept))


@pytest.mark.fuzz
@settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(SUFFIXES), st.binary(max_size=200))
def test_noise_after_a_good_start(tmp_path_factory, suffix, noise) -> None:
    start = dict(CORPUS[: len(SUFFIXES)])[suffix][:24]
    check(tmp_path_factory.mktemp("fuzz"), suffix, start + noise)
