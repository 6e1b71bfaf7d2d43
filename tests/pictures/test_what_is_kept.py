"""Every row of the table "what is kept", on pictures made here."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import pyvips
from PIL import Image as PillowImage

from fourfold.jobs.pipeline import Outcome
from tests.made_pictures import Nearest, adobe_like, enlarge, enlarged, image, opened, repeated

RNG = np.random.default_rng(5)
NUMBERS8 = RNG.integers(0, 256, (20, 30, 4), np.uint8)
NUMBERS16 = RNG.integers(0, 65536, (20, 30, 4), np.uint16)


@pytest.mark.parametrize("suffix", [".png", ".tiff"])
@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("numbers", [NUMBERS8, NUMBERS16], ids=["8 bit", "16 bit"])
def test_depth_and_channels(
    tmp_path: Path, numbers: np.ndarray, channels: int, suffix: str
) -> None:
    pixels = numbers[..., :channels]
    wide = numbers.dtype == np.uint16
    kind = ("grey16" if wide else "b-w") if channels < 3 else ("rgb16" if wide else "srgb")
    image(pixels, kind).write_to_file(str(tmp_path / f"a{suffix}"))
    outcome, result = enlarged(tmp_path / f"a{suffix}", tmp_path / "out")
    assert Path(outcome.output).suffix == suffix
    assert outcome.notes == ()
    assert result.format == ("ushort" if wide else "uchar")
    assert (result.numpy().reshape(40, 60, channels) == repeated(pixels)).all()


def test_one_bit_becomes_grey(tmp_path: Path) -> None:
    bits = image((NUMBERS8[..., 0] > 127).astype(np.uint8) * 255, "b-w")
    bits.pngsave(str(tmp_path / "a.png"), bitdepth=1)
    _, result = enlarged(tmp_path / "a.png", tmp_path / "out")
    assert (result.bands, result.format, set(np.unique(result.numpy()))) == (1, "uchar", {0, 255})


def test_a_palette_with_transparency_becomes_rgba(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(NUMBERS8[..., 0] % 4, "P")
    picture.putpalette([255, 0, 0, 0, 255, 0, 0, 0, 255, 9, 9, 9])
    picture.save(tmp_path / "a.png", transparency=bytes([255, 128, 0, 255]))
    _, result = enlarged(tmp_path / "a.png", tmp_path / "out")
    assert result.bands == 4
    assert set(np.unique(result.numpy()[..., 3])) == {0, 128, 255}


def test_neutral_colour_runs_as_grey_and_stays_neutral(tmp_path: Path) -> None:
    grey = np.repeat(NUMBERS8[..., :1], 3, axis=2)
    image(grey).pngsave(str(tmp_path / "a.png"))
    network = Nearest()
    _, result = enlarged(tmp_path / "a.png", tmp_path / "out", upscaler=network)
    assert network.channels == [1]
    assert result.bands == 3
    assert (result.numpy() == repeated(grey)).all()


def test_neutral_colour_with_alpha_runs_as_grey_with_alpha(tmp_path: Path) -> None:
    pixels = np.concatenate([np.repeat(NUMBERS8[..., :1], 3, axis=2), NUMBERS8[..., 3:]], axis=2)
    image(pixels).pngsave(str(tmp_path / "a.png"))
    network = Nearest()
    _, result = enlarged(tmp_path / "a.png", tmp_path / "out", upscaler=network)
    assert network.channels == [2]
    assert (result.numpy() == repeated(pixels)).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("max_memory", [10**9, 64], ids=["in memory", "on disk"])
def test_orientation_is_applied_once(tmp_path: Path, orientation: int, max_memory: int) -> None:
    held = image(NUMBERS8[..., :3])
    held.set_type(pyvips.GValue.gint_type, "orientation", orientation)
    held.tiffsave(str(tmp_path / "a.tiff"))
    upright = opened(tmp_path / "a.tiff").autorot().numpy()
    network = Nearest(max_memory=max_memory)
    _, result = enlarged(tmp_path / "a.tiff", tmp_path / "out", upscaler=network)
    assert result.get("orientation") == 1
    assert (result.numpy() == repeated(upright)).all()


def test_a_profile_is_kept_to_the_byte_and_colours_come_back(tmp_path: Path) -> None:
    held = image(NUMBERS8[..., :3])
    held.set_type(pyvips.GValue.blob_type, "icc-profile-data", adobe_like())
    held.pngsave(str(tmp_path / "a.png"))
    _, result = enlarged(tmp_path / "a.png", tmp_path / "out")
    assert bytes(result.get("icc-profile-data")) == adobe_like()
    difference = result.numpy().astype(int) - repeated(NUMBERS8[..., :3])
    assert np.abs(difference).max() <= 1


def test_the_network_sees_the_profiles_colours_on_srgbs_curve(tmp_path: Path) -> None:
    held = image(NUMBERS8[..., :3])
    held.set_type(pyvips.GValue.blob_type, "icc-profile-data", adobe_like())
    held.pngsave(str(tmp_path / "a.png"))
    seen: list[np.ndarray] = []

    class Spy(Nearest):
        def tiles(self, read, *shape):
            seen.append(read)
            return super().tiles(lambda box: seen.append(read(box)) or seen[-1], *shape)

    enlarged(tmp_path / "a.png", tmp_path / "out", upscaler=Spy())
    assert seen[1].dtype == np.uint16
    assert 0 < np.abs(seen[1] / 257 - NUMBERS8[..., :3]).max() < 20


@pytest.mark.parametrize("junk", [b"", b"junk" * 100, b"\0" * 36 + b"acsp" + b"\xff" * 300])
def test_a_broken_profile_does_no_harm(tmp_path: Path, junk: bytes) -> None:
    held = image(NUMBERS8[..., :3])
    held.set_type(pyvips.GValue.blob_type, "icc-profile-data", junk)
    held.tiffsave(str(tmp_path / "a.tiff"))
    _, result = enlarged(tmp_path / "a.tiff", tmp_path / "out")
    assert (result.numpy() == repeated(NUMBERS8[..., :3])).all()


def test_resolution_grows_and_metadata_stay(tmp_path: Path) -> None:
    picture = PillowImage.fromarray(NUMBERS8[..., :3])
    exif = PillowImage.Exif()
    exif[0x010E], exif[0x0112], exif[0x8298] = "a hill", 6, "somebody"
    picture.save(tmp_path / "a.jpg", exif=exif, dpi=(100, 100), quality=95)
    held = pyvips.Image.new_from_file(str(tmp_path / "a.jpg")).copy()
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    held.set_type(pyvips.GValue.blob_type, "xmp-data", xmp)
    held.jpegsave(str(tmp_path / "b.jpg"))
    outcome, result = enlarged(tmp_path / "b.jpg", tmp_path / "out")
    assert (result.width, result.height) == (40, 60)
    assert result.xres * 25.4 == pytest.approx(200, abs=0.6)
    assert bytes(result.get("xmp-data")) == xmp.replace(b'"6"', b'"1"')
    with PillowImage.open(outcome.output) as again:
        written = again.getexif()
    assert (written[0x010E], written[0x0112], written[0x8298]) == ("a hill", 1, "somebody")


def test_no_stale_thumbnail(tmp_path: Path) -> None:
    held = image(NUMBERS8[..., :3])
    held.set_type(pyvips.GValue.gstr_type, "exif-ifd0-Make", "x (x, ASCII, 2 components, 2 bytes)")
    held.set_type(pyvips.GValue.gstr_type, "exif-ifd1-Make", "x (x, ASCII, 2 components, 2 bytes)")
    held.jpegsave(str(tmp_path / "a.jpg"))
    _, result = enlarged(tmp_path / "a.jpg", tmp_path / "out")
    fields = result.get_fields()
    assert "exif-ifd0-Make" in fields
    assert not [name for name in fields if "ifd1" in name or "thumbnail" in name]


def test_cmyk_is_written_as_srgb_and_said(tmp_path: Path) -> None:
    white = np.zeros((8, 8, 4), np.uint8)
    image(white, "cmyk").jpegsave(str(tmp_path / "a.jpg"))
    outcome, result = enlarged(tmp_path / "a.jpg", tmp_path / "out")
    assert result.interpretation == "srgb"
    assert result.numpy().min() > 245
    assert any("CMYK" in note for note in outcome.notes)


@pytest.mark.parametrize("coding", ["labs", "labq"], ids=["16 bit", "8 bit"])
def test_cielab_is_written_as_srgb(tmp_path: Path, coding: str) -> None:
    lab = image(NUMBERS8[..., :3]).colourspace(coding)
    lab.tiffsave(str(tmp_path / "a.tiff"))
    outcome, result = enlarged(tmp_path / "a.tiff", tmp_path / "out")
    assert result.bands == 3
    eight = result.numpy() / (257 if result.format == "ushort" else 1)
    assert np.abs(eight - repeated(NUMBERS8[..., :3])).mean() < 2
    assert outcome.notes == ("CIELAB is written as sRGB",)


@pytest.mark.parametrize("low", [0.0, -3.0])
@pytest.mark.parametrize("high", [1.0, 70000.0])
def test_float_tiff_keeps_its_numbers(tmp_path: Path, low: float, high: float) -> None:
    numbers = np.linspace(low, high, 600, dtype=np.float32).reshape(20, 30)
    image(numbers, "b-w").tiffsave(str(tmp_path / "a.tiff"))
    _, result = enlarged(tmp_path / "a.tiff", tmp_path / "out")
    assert result.format == "float"
    assert np.allclose(result.numpy(), repeated(numbers), rtol=1e-5, atol=1e-6 * (high - low))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_refused(tmp_path: Path, bad: float) -> None:
    numbers = np.full((20, 30), bad, np.float32)
    image(numbers, "b-w").tiffsave(str(tmp_path / "a.tiff"))
    (outcome,) = enlarge(tmp_path / "a.tiff", out=tmp_path / "out")
    assert outcome.status == "failed"
    assert "NaN or infinity" in outcome.reason


FRAMES = [PillowImage.fromarray(NUMBERS8[i : i + 8, :12, :3]) for i in range(0, 9, 3)]


def save_frames(path: Path) -> None:
    options = {"save_all": True, "append_images": FRAMES[1:], "duration": [50, 200, 90], "loop": 3}
    if path.suffix == ".webp":
        options["lossless"] = True
    FRAMES[0].save(path, **options)


@pytest.mark.parametrize("suffix", [".gif", ".webp"])
def test_animations_keep_frames_and_timing(tmp_path: Path, suffix: str) -> None:
    save_frames(tmp_path / f"a{suffix}")
    outcome, _ = enlarged(tmp_path / f"a{suffix}", tmp_path / "out")
    before = opened(tmp_path / f"a{suffix}", n=-1)
    after = opened(Path(outcome.output), n=-1)
    for name in ("n-pages", "delay", "loop"):
        assert after.get(name) == before.get(name)
    assert (after.get("page-height"), after.width) == (16, 24)
    assert outcome.pages == 3


def test_a_still_gif_becomes_png(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "a.gif")
    outcome, _ = enlarged(tmp_path / "a.gif", tmp_path / "out")
    assert Path(outcome.output).name == "a_x2.png"
    assert "256 colours" in outcome.notes[0]


def test_pages_of_a_tiff_stay(tmp_path: Path) -> None:
    FRAMES[0].save(tmp_path / "a.tif", save_all=True, append_images=FRAMES[1:])
    outcome, _ = enlarged(tmp_path / "a.tif", tmp_path / "out")
    for page, frame in enumerate(FRAMES):
        result = opened(Path(outcome.output), page=page).numpy()
        assert (result == repeated(np.asarray(frame))).all()


@pytest.mark.parametrize("max_memory", [10**9, 64], ids=["in memory", "on disk"])
def test_pages_of_different_sizes_and_kinds_stay(tmp_path: Path, max_memory: int) -> None:
    pages = [NUMBERS8[:8, :12, :3], NUMBERS8[:9, :5, :3], NUMBERS8[:7, :7, 0]]
    first, *others = map(PillowImage.fromarray, pages)
    first.save(tmp_path / "a.tif", save_all=True, append_images=others)
    network = Nearest(max_memory=max_memory)
    outcome, _ = enlarged(tmp_path / "a.tif", tmp_path / "out", upscaler=network)
    assert outcome.pages == 3
    for number, page in enumerate(pages):
        result = opened(Path(outcome.output), page=number).numpy()
        assert (result.reshape(repeated(page).shape) == repeated(page)).all()


@pytest.mark.parametrize(
    ("suffix", "mode"),
    [
        (".bmp", "RGB"),
        (".bmp", "P"),
        (".bmp", "1"),
        (".ico", "RGBA"),
        (".tga", "RGBA"),
        (".ppm", "RGB"),
        (".pgm", "L"),
        (".jp2", "RGB"),
        (".jp2", "LA"),
        (".pcx", "L"),
        (".dds", "RGBA"),
    ],
)
def test_formats_that_are_only_read_become_png(tmp_path: Path, suffix: str, mode: str) -> None:
    picture = PillowImage.fromarray(NUMBERS8[:16, :16]).convert(mode)
    picture.save(tmp_path / f"a{suffix}")
    outcome, result = enlarged(tmp_path / f"a{suffix}", tmp_path / "out")
    assert Path(outcome.output).suffix == ".png"
    assert "only read" in outcome.notes[-1]
    kept = {"P": "RGB", "1": "L"}.get(mode, mode)
    with PillowImage.open(tmp_path / f"a{suffix}") as again:
        wanted = np.asarray(again.convert(kept))
    assert (np.squeeze(result.numpy()) == repeated(wanted)).all()


def test_sixteen_bits_of_jpeg_2000_stay(tmp_path: Path) -> None:
    pytest.importorskip("openjpeg")
    PillowImage.fromarray(NUMBERS16[..., 0]).save(tmp_path / "a.jp2")
    _, result = enlarged(tmp_path / "a.jp2", tmp_path / "out")
    assert result.format == "ushort"
    assert (np.squeeze(result.numpy()) == repeated(NUMBERS16[..., 0])).all()


def test_deep_jpeg_2000_names_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "openjpeg", None)
    PillowImage.fromarray(NUMBERS16[..., 0]).save(tmp_path / "a.jp2")
    reason = failed(enlarge(tmp_path / "a.jp2", out=tmp_path / "out"))
    assert "pip install 'fourfold[jp2]'" in reason
    assert "\n" not in reason
    PillowImage.fromarray(NUMBERS8[..., :3]).save(tmp_path / "b.jp2")
    enlarged(tmp_path / "b.jp2", tmp_path / "out")


@pytest.mark.parametrize("bits", [8, 10, 12])
def test_avif_keeps_its_depth(tmp_path: Path, bits: int) -> None:
    numbers = NUMBERS16 if bits > 8 else NUMBERS8
    picture = image(numbers[..., :3], "rgb16" if bits > 8 else "srgb")
    picture.heifsave(str(tmp_path / "a.avif"), bitdepth=bits, compression="av1", lossless=True)
    outcome, result = enlarged(tmp_path / "a.avif", tmp_path / "out")
    assert Path(outcome.output).suffix == ".avif"
    assert result.format == ("ushort" if bits > 8 else "uchar")


@pytest.mark.parametrize(
    ("ext", "note"),
    [("jpg", "8: jpg"), ("webp", "8: webp"), ("png", None), ("tiff", None), ("avif", "12 bits")],
)
def test_what_a_format_cannot_hold_is_said(tmp_path: Path, ext: str, note: str | None) -> None:
    image(NUMBERS16[..., :3], "rgb16").pngsave(str(tmp_path / "a.png"))
    outcome, _ = enlarged(tmp_path / "a.png", tmp_path / "out", ext=ext)
    assert Path(outcome.output).name == f"a_x2.{ext}"
    assert bool(outcome.notes) == bool(note)
    assert note is None or note in outcome.notes[0]


def test_transparency_in_jpeg_is_shown_on_white(tmp_path: Path) -> None:
    clear = np.zeros((8, 8, 4), np.uint8)
    image(clear).pngsave(str(tmp_path / "a.png"))
    outcome, result = enlarged(tmp_path / "a.png", tmp_path / "out", ext="jpg")
    assert result.numpy().min() > 250
    assert "no transparency" in outcome.notes[0]


def test_the_format_follows_the_content_not_the_name(tmp_path: Path) -> None:
    image(NUMBERS8[..., :3]).pngsave(str(tmp_path / "a.png"))
    (tmp_path / "a.png").rename(tmp_path / "really.JPG")
    outcome, _ = enlarged(tmp_path / "really.JPG", tmp_path / "out")
    assert Path(outcome.output).name == "really_x2.png"


def test_an_upper_case_suffix_stays(tmp_path: Path) -> None:
    image(NUMBERS8[..., :3]).pngsave(str(tmp_path / "a.png"))
    (tmp_path / "a.png").rename(tmp_path / "A.PNG")
    assert Path(enlarged(tmp_path / "A.PNG", tmp_path / "out")[0].output).name == "A_x2.PNG"


@pytest.mark.parametrize("scale", [1.0, 1.5, 3.0, 7.0])
@pytest.mark.parametrize("max_memory", [10**9, 64], ids=["in memory", "on disk"])
def test_any_scale_keeps_flat_colour_flat(tmp_path: Path, scale: float, max_memory: int) -> None:
    flat = np.full((21, 33, 4), (10, 200, 77, 255), np.uint8)
    image(flat).copy(xres=3, yres=3).pngsave(str(tmp_path / "a.png"))
    network = Nearest(max_memory=max_memory)
    outcome, result = enlarged(tmp_path / "a.png", tmp_path / "out", scale=scale, upscaler=network)
    assert (result.width, result.height) == (round(33 * scale), round(21 * scale))
    assert (result.numpy() == (10, 200, 77, 255)).all()
    assert result.get("xres") == pytest.approx(3 * scale, abs=0.1 * scale)
    assert outcome.notes == ()


def test_one_pixel_works(tmp_path: Path) -> None:
    image(NUMBERS8[:1, :1, :3]).pngsave(str(tmp_path / "a.png"))
    _, result = enlarged(tmp_path / "a.png", tmp_path / "out")
    assert (result.width, result.height) == (2, 2)


def failed(outcomes: list[Outcome]) -> str:
    (outcome,) = outcomes
    assert outcome.status == "failed"
    return outcome.reason


@pytest.mark.parametrize("ext", ["jpg", "png", "avif"])
def test_frames_are_not_dropped_silently(tmp_path: Path, ext: str) -> None:
    save_frames(tmp_path / "a.webp")
    assert "3 frames" in failed(enlarge(tmp_path / "a.webp", out=tmp_path / "out", ext=ext))


def test_a_side_no_jpeg_holds_becomes_png(tmp_path: Path) -> None:
    image(np.zeros((1, 40_000, 3), np.uint8)).jpegsave(str(tmp_path / "a.jpg"))
    outcome, _ = enlarged(tmp_path / "a.jpg", tmp_path / "out")
    assert Path(outcome.output).suffix == ".png"
    assert "65500" in failed(enlarge(tmp_path / "a.jpg", out=tmp_path / "out", ext="jpg"))
