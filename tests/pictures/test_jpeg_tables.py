"""A JPEG's quality is read from its header, whatever else stands there."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fourfold.pictures.jpeg_tables import header_quality, read_jpeg_quality


def saved(quality: int, **options: object) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, **options)
    return out.getvalue()


@pytest.mark.parametrize("quality", [20, 35, 50, 75, 90, 95, 100])
def test_quality_is_what_the_file_was_saved_with(quality: int) -> None:
    assert header_quality(saved(quality)) == pytest.approx(quality, abs=1)
    assert header_quality(saved(quality, comment=b"x" * 3000)) == pytest.approx(quality, abs=1)


def test_anything_else_has_none(tmp_path: Path) -> None:
    for content in (b"", b"\x89PNG", b"\xff\xd8", saved(50)[:30], b"\xff\xd8\xff\xdb\0\0"):
        assert header_quality(content) is None
    assert read_jpeg_quality(tmp_path / "none.jpg") is None
    (tmp_path / "a.jpg").write_bytes(saved(60))
    assert read_jpeg_quality(tmp_path / "a.jpg") == pytest.approx(60, abs=1)
