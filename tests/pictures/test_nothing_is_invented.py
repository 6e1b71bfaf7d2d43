"""Texts come back as they were, and what a file does not say its result does not say either."""

from __future__ import annotations

import shutil
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image as PillowImage

from fourfold.pictures.png import PngStream, packed
from tests.made_pictures import enlarge, enlarged, image

PIXELS = np.random.default_rng(8).integers(0, 256, (20, 30, 3), np.uint8)
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'


def chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    data, place = path.read_bytes(), 8
    while place < len(data):
        length, name = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + length]
        assert data[place : place + 12 + length] == packed(name, body)
        yield name, body
        place += 12 + length


def png(path: Path, *inserted: tuple[bytes, bytes]) -> Path:
    PillowImage.fromarray(PIXELS).save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:33] + b"".join(packed(*chunk) for chunk in inserted) + whole[33:])
    return path


TEXTS = [
    (b"tEXt", "Author\0José".encode("latin-1")),
    (b"iTXt", "Title\0\0\0\0\0猫 x".encode()),
    (b"zTXt", b"Creation Time\0\0" + zlib.compress(b"long ago")),
    (b"tEXt", b"Raw profile type iptc\0abc"),
]


def test_texts_of_a_png_are_kept_as_they_are(tmp_path: Path) -> None:
    outcome, _ = enlarged(png(tmp_path / "a.png", *TEXTS), tmp_path / "out")
    written = [
        chunk for chunk in chunks(Path(outcome.output)) if chunk[0] in (b"tEXt", b"zTXt", b"iTXt")
    ]
    assert written == TEXTS


def test_xmp_stands_where_readers_look(tmp_path: Path) -> None:
    packet = (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP)
    outcome, result = enlarged(png(tmp_path / "a.png", packet), tmp_path / "out")
    assert packet in list(chunks(Path(outcome.output)))
    assert bytes(result.get("xmp-data")) == XMP


@pytest.mark.parametrize("ext", ["png", "jpg", "webp", "avif"])
def test_no_exif_and_no_resolution_are_made_up(tmp_path: Path, ext: str) -> None:
    outcome, result = enlarged(png(tmp_path / "a.png"), tmp_path / "out", ext=ext)
    assert not result.get_typeof("exif-data")
    assert not result.get_typeof("resolution-unit")
    if ext == "png":
        assert [name for name, _ in chunks(Path(outcome.output))][:2] == [b"IHDR", b"IDAT"]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif"])
@pytest.mark.parametrize("dpi", [72, 300])
def test_a_resolution_is_kept(tmp_path: Path, suffix: str, dpi: int) -> None:
    PillowImage.fromarray(PIXELS).save(tmp_path / f"a{suffix}", dpi=(dpi, dpi))
    _, result = enlarged(tmp_path / f"a{suffix}", tmp_path / "out")
    assert result.xres * 25.4 == pytest.approx(2 * dpi, abs=0.6)


class Usage(NamedTuple):
    total: int = 10**9
    used: int = 10**9
    free: int = 0


@pytest.mark.parametrize("ext", ["webp", "tiff"])
def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ext: str) -> None:
    from fourfold.pictures import encode
    from fourfold.pictures.vips import vips

    def fail(*_: object) -> None:
        raise vips().Error("write error")

    monkeypatch.setitem(encode.SAVERS, ext, fail)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage())
    (outcome,) = enlarge(png(tmp_path / "a.png"), out=tmp_path / "out", ext=ext)
    assert "No space left" in outcome.reason


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_the_png_writer_knows_why_it_failed() -> None:
    with Path("/dev/full").open("wb", buffering=0) as file:
        stream = PngStream(file, texts=(), resolution=True)
        whole = image(PIXELS).pngsave_buffer()
        assert stream.write(whole[:20]) == 20
        assert stream.write(whole[20:]) == -1
    assert stream.error is not None
    assert "No space" in str(stream.error)
