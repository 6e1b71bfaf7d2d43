"""Damaged and cut files are refused, also where a decoder would fill in black."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from tests.made_pictures import enlarge, enlarged, image

PIXELS = np.random.default_rng(6).integers(0, 256, (70, 80, 3), np.uint8)


def refusal(path: Path, out: Path) -> str:
    """Why `path` failed; nothing may be left in `out`."""
    (outcome,) = enlarge(path, out=out)
    assert outcome.status == "failed"
    assert not out.exists() or not list(out.iterdir())
    return str(outcome.reason)


def tiff(*, tiled: bool, compression: str) -> bytes:
    tiles = {"tile": True, "tile_width": 32, "tile_height": 32} if tiled else {}
    saved: bytes = image(PIXELS).tiffsave_buffer(compression=compression, **tiles)
    return saved


def cut_tiff(*, tiled: bool, compression: str) -> bytes:
    """A TIFF whose last strip or tile is said to begin ten bytes before the end."""
    whole = tiff(tiled=tiled, compression=compression)
    table = int.from_bytes(whole[4:8], "little")
    tag = (324 if tiled else 273).to_bytes(2, "little")
    entry = next(place for place in range(table + 2, len(whole), 12) if whole[place:][:2] == tag)
    number = int.from_bytes(whole[entry + 4 : entry + 8], "little")
    places = int.from_bytes(whole[entry + 8 : entry + 12], "little")
    last = entry + 8 if number == 1 else places + 4 * (number - 1)
    return whole[:last] + (len(whole) - 10).to_bytes(4, "little") + whole[last + 4 :]


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("compression", ["none", "lzw", "deflate", "jpeg"])
def test_a_tiff_whose_pixels_end_early_is_refused(
    tmp_path: Path, tiled: bool, compression: str
) -> None:
    (tmp_path / "a.tif").write_bytes(cut_tiff(tiled=tiled, compression=compression))
    assert "ends early" in refusal(tmp_path / "a.tif", tmp_path / "out")


@pytest.mark.parametrize("tiled", [False, True])
@pytest.mark.parametrize("compression", ["lzw", "deflate"])
def test_broken_pixels_of_a_tiff_are_refused(tmp_path: Path, tiled: bool, compression: str) -> None:
    data = bytearray(tiff(tiled=tiled, compression=compression))
    data[2000:2200] = b"\xff" * 200
    (tmp_path / "a.tif").write_bytes(data)
    assert "not a readable picture" in refusal(tmp_path / "a.tif", tmp_path / "out")


@pytest.mark.parametrize("tiled", [False, True])
def test_tags_nobody_knows_do_no_harm(tmp_path: Path, tiled: bool) -> None:
    data = bytearray(tiff(tiled=tiled, compression="deflate"))
    table = int.from_bytes(data[4:8], "little")
    count = int.from_bytes(data[table : table + 2], "little")
    last = table + 2 + 12 * (count - 1)
    data[last : last + 2] = (65001).to_bytes(2, "little")
    (tmp_path / "a.tif").write_bytes(data)
    enlarged(tmp_path / "a.tif", tmp_path / "out")


@pytest.mark.parametrize(("number", "name"), [(50000, "ZSTD"), (34887, "LERC")])
def test_a_missing_tiff_compression_is_named(tmp_path: Path, number: int, name: str) -> None:
    PillowImage.fromarray(PIXELS).save(tmp_path / "a.tif", tiffinfo={})
    data = (tmp_path / "a.tif").read_bytes()
    entry = data.index((259).to_bytes(2, "little") + b"\x03\0\x01\0\0\0")
    data = data[: entry + 8] + number.to_bytes(2, "little") + data[entry + 10 :]
    (tmp_path / "a.tif").write_bytes(data)
    assert f"{name} compression is not supported" in refusal(tmp_path / "a.tif", tmp_path / "out")


def animation() -> bytes:
    frames = [PillowImage.fromarray(PIXELS[i : i + 20]) for i in (0, 20, 40)]
    file = io.BytesIO()
    frames[0].save(file, "gif", save_all=True, append_images=frames[1:], duration=80)
    return file.getvalue()


@pytest.mark.parametrize("share", [0.5, 0.9, 0.99])
def test_a_cut_animation_is_refused(tmp_path: Path, share: float) -> None:
    whole = animation()
    (tmp_path / "a.gif").write_bytes(whole[: int(len(whole) * share)])
    assert "ends early" in refusal(tmp_path / "a.gif", tmp_path / "out")


@pytest.mark.parametrize("end", [b"", b";\0\0\0", b"\0\0"])
def test_an_animation_with_an_odd_end_is_whole(tmp_path: Path, end: bytes) -> None:
    (tmp_path / "a.gif").write_bytes(animation().removesuffix(b";") + end)
    outcome, _ = enlarged(tmp_path / "a.gif", tmp_path / "out")
    assert outcome.pages == 3


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text.png", b"dear diary", "no picture format known here"),
        ("a.pgm", b"P5 8 x8 255 ", "damaged or ends early"),
        ("a.tif", b"II*\0\x08\0\0\0", "damaged or ends early"),
        ("a.psd", b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x08\0\0\0\x08\0\x10\0\3", "want 8 bits"),
        ("a.psd", b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\0\x08\0\0\0\x08\0\x08\0\3", "damaged or"),
    ],
)
def test_refusals_are_in_plain_words(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    assert words in refusal(tmp_path / name, tmp_path / "out")


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_cut_avif_says_so(tmp_path: Path, share: float) -> None:
    whole = image(PIXELS).heifsave_buffer(compression="av1")
    (tmp_path / "a.avif").write_bytes(whole[: int(len(whole) * share)])
    assert "ends early)" in refusal(tmp_path / "a.avif", tmp_path / "out")
