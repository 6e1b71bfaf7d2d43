"""Colours and channels that only the bytes of a file tell of: kept, or said to be lost."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image as PillowImage

from fourfold.pictures.marks import read_marks
from tests.made_pictures import enlarged, image, opened, repeated

PIXELS = np.random.default_rng(7).integers(0, 256, (20, 30, 4), np.uint8)
SRGB_PLACES = (31270, 32900, 64000, 33000, 30000, 60000, 15000, 6000)
P3_PLACES = (31270, 32900, 68000, 32000, 26500, 69000, 15000, 6000)


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(path: Path, *chunks: bytes, channels: int = 3) -> Path:
    whole = image(PIXELS[..., :channels], "srgb" if channels > 2 else "b-w").pngsave_buffer(keep=0)
    path.write_bytes(whole[:33] + b"".join(chunks) + whole[33:])
    return path


def shown(picture: object) -> np.ndarray:
    """As a viewer that knows profiles shows it, in sRGB."""
    return picture.icc_transform("srgb", embedded=True, depth=8).numpy().astype(int)


def test_display_p3_without_a_profile_gets_one(tmp_path: Path) -> None:
    mark = chunk(b"cICP", bytes([12, 13, 0, 1]))
    outcome, result = enlarged(png(tmp_path / "a.png", mark), tmp_path / "out")
    assert outcome.notes == ()
    assert (result.numpy() == repeated(PIXELS[..., :3])).all()
    p3 = image(PIXELS[..., :3]).icc_transform("srgb", input_profile="p3", depth=8)
    assert np.abs(shown(result) - repeated(p3.numpy())).max() <= 4


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("name", [b"gAMA", b"cHRM"])
def test_an_odd_gamma_is_left_out_and_said(tmp_path: Path, channels: int, name: bytes) -> None:
    data = {b"gAMA": struct.pack(">I", 55556), b"cHRM": struct.pack(">8I", *P3_PLACES)}[name]
    marked = png(tmp_path / "a.png", chunk(name, data), channels=channels)
    outcome, result = enlarged(marked, tmp_path / "out")
    assert outcome.notes == (f"its {name.decode()} is left out; its colours are taken for sRGB",)
    assert not result.get_typeof("icc-profile-data")
    wanted = repeated(PIXELS[..., :channels])
    assert (result.numpy().reshape(wanted.shape) == wanted).all()


@pytest.mark.parametrize(
    "marks",
    [
        (chunk(b"gAMA", struct.pack(">I", 45455)),),
        (
            chunk(b"gAMA", struct.pack(">I", 45455)),
            chunk(b"cHRM", struct.pack(">8I", *SRGB_PLACES)),
        ),
        (chunk(b"sRGB", b"\0"), chunk(b"gAMA", struct.pack(">I", 99999))),
        (chunk(b"cICP", bytes([1, 13, 0, 1])),),
    ],
)
def test_marks_of_srgb_change_nothing(tmp_path: Path, marks: tuple[bytes, ...]) -> None:
    outcome, result = enlarged(png(tmp_path / "a.png", *marks), tmp_path / "out")
    assert outcome.notes == ()
    assert not result.get_typeof("icc-profile-data")


@pytest.mark.parametrize(
    ("mark", "note"),
    [
        (chunk(b"cICP", bytes([9, 16, 0, 1])), "HDR"),
        (chunk(b"cICP", bytes([77, 13, 0, 1])), "not understood"),
        (chunk(b"gAMA", struct.pack(">I", 0)), "taken for sRGB"),
    ],
)
def test_marks_that_cannot_be_kept_are_said(tmp_path: Path, mark: bytes, note: str) -> None:
    outcome, _ = enlarged(png(tmp_path / "a.png", mark), tmp_path / "out")
    assert note in outcome.notes[0]


@pytest.mark.parametrize("form", ["png", "avif", "webp", "tiff", "jpg"])
@pytest.mark.parametrize(
    "noise", [b"", b"II*\0\1", b"colrnclx", b"\x89PNG\r\n\x1a\n\0\0\0\4cHRM1234"]
)
def test_any_bytes_are_survived(form: str, noise: bytes) -> None:
    import io

    assert read_marks(io.BytesIO(noise), form).profile is None


def test_a_channel_of_no_meaning_is_no_transparency(tmp_path: Path) -> None:
    PillowImage.fromarray(PIXELS).save(tmp_path / "a.tif", tiffinfo={338: 0})
    data = bytearray((tmp_path / "a.tif").read_bytes())
    entry = data.index((338).to_bytes(2, "little") + b"\x03\0\x01\0\0\0")
    data[entry + 8 : entry + 10] = b"\0\0"
    (tmp_path / "a.tif").write_bytes(data)
    outcome, result = enlarged(tmp_path / "a.tif", tmp_path / "out")
    assert (result.numpy() == repeated(PIXELS[..., :3])).all()
    assert "no stated meaning" in outcome.notes[0]


@pytest.mark.parametrize("lossless", [False, True])
def test_a_lossless_webp_stays_lossless(tmp_path: Path, lossless: bool) -> None:
    opaque = PIXELS.copy()
    opaque[..., 3] |= 1
    PillowImage.fromarray(opaque).save(tmp_path / "a.webp", lossless=lossless)
    outcome, result = enlarged(tmp_path / "a.webp", tmp_path / "out")
    assert (result.numpy() == repeated(opaque)).all() == lossless
    _, chosen = enlarged(tmp_path / "a.webp", tmp_path / "lossy", quality=50)
    assert not (chosen.numpy() == repeated(opaque)).all()
    assert outcome.notes == ()


@pytest.mark.parametrize("ext", ["png", "webp", "avif"])
def test_lost_iptc_is_said(tmp_path: Path, ext: str) -> None:
    held = image(PIXELS[..., :3])
    held.set_type(
        pyvips.GValue.blob_type, "iptc-data", b"Photoshop 3.0\0" + b"8BIM\4\4\0\0\0\0\0\0"
    )
    held.jpegsave(str(tmp_path / "a.jpg"))
    outcome, _ = enlarged(tmp_path / "a.jpg", tmp_path / "out", ext=ext)
    assert f"{ext} holds no IPTC" in outcome.notes
    assert enlarged(tmp_path / "a.jpg", tmp_path / "same")[0].notes == ()


def test_lost_timing_is_said(tmp_path: Path) -> None:
    frames = [PillowImage.fromarray(PIXELS[i : i + 8, :, :3]) for i in (0, 8)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=70)
    outcome, _ = enlarged(tmp_path / "a.gif", tmp_path / "out", ext="tiff")
    assert "tiff holds no timing of frames" in outcome.notes
    assert opened(Path(outcome.output)).get("n-pages") == 2


def test_a_dropped_profile_is_said(tmp_path: Path) -> None:
    PillowImage.fromarray(PIXELS[..., :3]).save(tmp_path / "a.tiff", icc_profile=b"junk" * 100)
    outcome, result = enlarged(tmp_path / "a.tiff", tmp_path / "out")
    assert not result.get_typeof("icc-profile-data")
    assert "ICC profile is damaged" in outcome.notes[0]
