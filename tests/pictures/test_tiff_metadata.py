"""EXIF and IPTC of TIFF files: read, carried to every format, added to what libvips wrote."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as PillowImage
from PIL.TiffImagePlugin import IFDRational

from fourfold.errors import OutputError
from fourfold.pictures.metadata import add_metadata, read_exif, read_iptc
from fourfold.pictures.tiff import EXIF, GPS, INTEROP, MAIN, Layout, Value, join_tiffs, pack
from fourfold.pictures.vips import with_fields
from tests.made_pictures import enlarge, enlarged, image, opened, repeated

PIXELS = np.random.default_rng(3).integers(0, 65536, (9, 7, 3), np.uint16)
IPTC = b"\x1c\x02\x19\0\x03cat" + b"\x1c\x02\x5a\0\x05Koeln"
LAYOUTS = [Layout(order=order, big=big) for order in "<>" for big in (False, True)]
NAMES = ["II", "II big", "MM", "MM big"]
MOST_READ = 250_000


def text(tag: int, words: str) -> Value:
    data = words.encode() + b"\0"
    return Value(tag, 2, data)


def numbers(layout: Layout, tag: int, kind: int, *values: int) -> Value:
    form = {3: "H", 4: "I", 5: "I"}[kind]
    data = struct.pack(f"{layout.order}{len(values)}{form}", *values)
    return Value(tag, kind, data)


def told(layout: Layout) -> dict[int, list[Value]]:
    """What a camera and its owner write."""
    return {
        MAIN: [
            text(270, "a hill"),
            text(271, "Maker"),
            text(272, "M1"),
            text(305, "Soft"),
            text(306, "2020:01:02 03:04:05"),
            text(315, "Somebody"),
            text(33432, "(c) me"),
        ],
        EXIF: [
            numbers(layout, 33434, 5, 1, 50),
            numbers(layout, 34855, 3, 400),
            Value(37500, 7, b"maker note"),
            numbers(layout, 40962, 4, 7),
            text(42036, "Lens"),
        ],
        GPS: [text(1, "N"), numbers(layout, 2, 5, 48, 1, 30, 1, 0, 1)],
        INTEROP: [text(1, "R98")],
    }


def tiff(
    layout: Layout,
    wide: bool = True,
    iptc: Value | None = None,
    *,
    orientation: int = 1,
    directories: dict[int, list[Value]] | None = None,
) -> bytes:
    """A picture of 7x9 with `directories`, all of `told` unless given."""
    pixels = (PIXELS if wide else PIXELS.astype(np.uint8)).astype(
        f"{layout.order}u{2 if wide else 1}"
    )
    head = (b"II" if layout.order == "<" else b"MM") + struct.pack(
        f"{layout.order}H", 43 if layout.big else 42
    )
    head += struct.pack(layout.order + "HH", 8, 0) if layout.big else b""
    start = len(head) + struct.calcsize(layout.form("P"))
    strip = pixels.tobytes()
    place = start + len(strip) + len(strip) % 2
    stored = [
        *((256, 3, [7]), (257, 3, [9]), (258, 3, [16 if wide else 8] * 3), (259, 3, [1])),
        *((262, 3, [2]), (273, 4, [start]), (277, 3, [3]), (278, 3, [9]), (279, 4, [len(strip)])),
        *((274, 3, [orientation]), (282, 5, [100, 1]), (283, 5, [100, 1])),
        (296, 3, [2]),
    ]
    directories = dict(directories or told(layout))
    main = [numbers(layout, tag, kind, *values) for tag, kind, values in stored]
    if iptc is not None:
        main.append(iptc)
    directories[MAIN] = [*directories[MAIN], *main]
    block, main = pack(directories, layout, place)
    return head + struct.pack(layout.form("P"), main) + strip.ljust(place - start, b"\0") + block


def exif_of(path: Path) -> dict[str, Any]:
    """As Pillow, which shares no code with us, reads it."""
    with PillowImage.open(path) as picture:
        exif = picture.getexif()
        below = {key: exif.get_ifd(key) for key in (EXIF, GPS, INTEROP)}
        return {"main": dict(exif), **{str(key): dict(value) for key, value in below.items()}}


def check_told(path: Path) -> None:
    exif = exif_of(path)
    for value in told(LAYOUTS[0])[MAIN]:
        assert str(exif["main"][value.tag]).rstrip("\0") == value.data.rstrip(b"\0").decode()
    inner = exif[str(EXIF)]
    assert float(inner[33434]) == pytest.approx(1 / 50)
    assert (inner[34855], bytes(inner[37500]), inner[42036]) == (400, b"maker note", "Lens")
    assert inner.get(40962) != 7
    assert exif[str(GPS)][1] == "N"
    assert exif[str(GPS)][2] == (IFDRational(48), IFDRational(30), IFDRational(0))
    assert exif[str(INTEROP)][1] == "R98"


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
@pytest.mark.parametrize("wide", [False, True], ids=["8 bit", "16 bit"])
def test_tiff_to_tiff_keeps_everything(tmp_path: Path, layout: Layout, wide: bool) -> None:
    iptc = Value(33723, 7, IPTC)
    (tmp_path / "a.tif").write_bytes(tiff(layout, wide, iptc, orientation=6))
    outcome, result = enlarged(tmp_path / "a.tif", tmp_path / "out")
    assert outcome.notes == ()
    check_told(Path(outcome.output))
    assert bytes(result.get("iptc-data")) == IPTC
    main = exif_of(Path(outcome.output))["main"]
    assert (main[274], main[256], float(main[282])) == (1, 18, 200)
    numbers_before = PIXELS if wide else PIXELS.astype(np.uint8)
    assert (result.numpy() == repeated(np.rot90(numbers_before, -1))).all()
    opened(Path(outcome.output), fail_on="warning")


@pytest.mark.parametrize("ext", ["jpg", "png", "webp", "avif"])
@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
def test_tiff_to_other_formats(tmp_path: Path, layout: Layout, ext: str) -> None:
    iptc = Value(33723, 7, IPTC)
    (tmp_path / "a.tif").write_bytes(tiff(layout, False, iptc))
    outcome, result = enlarged(tmp_path / "a.tif", tmp_path / "out", ext=ext)
    check_told(Path(outcome.output))
    if ext == "jpg":
        assert IPTC in bytes(result.get("iptc-data"))
        with PillowImage.open(outcome.output) as again:
            assert IPTC in again.info["photoshop"][0x0404]


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
def test_jpeg_to_tiff(tmp_path: Path, layout: Layout) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(layout, False, Value(33723, 7, IPTC)))
    first, _ = enlarged(tmp_path / "a.tif", tmp_path / "out", ext="jpg")
    outcome, result = enlarged(Path(first.output), tmp_path / "again", ext="tiff")
    check_told(Path(outcome.output))
    assert bytes(result.get("iptc-data"))[: len(IPTC)] == IPTC
    opened(Path(outcome.output), fail_on="warning")


@pytest.mark.parametrize("big", [False, True])
def test_adding_moves_no_pixel_and_keeps_the_pages(tmp_path: Path, big: bool) -> None:
    file = io.BytesIO(tiff(LAYOUTS[2], iptc=Value(33723, 7, IPTC)))
    held = image(np.concatenate([PIXELS, PIXELS + 1]), "rgb16")
    held = with_fields(held, {"exif-data": read_exif(file), "iptc-data": read_iptc(file)})
    path = tmp_path / "a.tif"
    held.tiffsave(str(path), compression="deflate", page_height=9, bigtiff=big)
    before = path.read_bytes()
    add_metadata(held, str(path).encode())
    after = path.read_bytes()
    header = 16 if big else 8
    assert after[header : len(before)] == before[header:]
    check_told(path)
    assert (opened(path, n=-1, fail_on="warning").numpy()[9:] == PIXELS + 1).all()


def test_pages_of_different_sizes_keep_those_of_the_first(tmp_path: Path) -> None:
    (tmp_path / "a.tif").write_bytes(tiff(LAYOUTS[0], False))
    PillowImage.fromarray(PIXELS[:4, :5].astype(np.uint8)).save(tmp_path / "other.tif")
    join_tiffs([tmp_path / "a.tif", tmp_path / "other.tif"], tmp_path / "b.tif")
    outcome, _ = enlarged(tmp_path / "b.tif", tmp_path / "out")
    assert outcome.pages == 2
    check_told(Path(outcome.output))
    second = opened(Path(outcome.output), page=1, fail_on="warning")
    assert (second.numpy() == repeated(PIXELS[:4, :5].astype(np.uint8))).all()


def test_iptc_that_was_turned_around_is_turned_back() -> None:
    turned = b"".join(IPTC.ljust(20, b"\0")[i : i + 4][::-1] for i in range(0, 20, 4))
    content = tiff(LAYOUTS[2], iptc=Value(33723, 4, turned))
    assert IPTC in (read_iptc(io.BytesIO(content)) or b"")


@pytest.mark.parametrize("size", [59_000, 70_000])
def test_a_huge_maker_note_is_left_out_and_the_rest_kept(tmp_path: Path, size: int) -> None:
    directories = told(LAYOUTS[0])
    directories[EXIF][2] = Value(37500, 7, b"n" * size)
    (tmp_path / "a.tif").write_bytes(tiff(LAYOUTS[0], directories=directories))
    for ext in ("tiff", "jpg"):
        outcome, _ = enlarged(tmp_path / "a.tif", tmp_path / "out", ext=ext)
        inner = exif_of(Path(outcome.output))[str(EXIF)]
        assert (inner[42036], 37500 in inner) == ("Lens", size < 60_000)


@pytest.mark.parametrize("size", [59_002, 70_002])
def test_much_iptc_does_no_harm(tmp_path: Path, size: int) -> None:
    data = IPTC + b"\x1c" * size
    (tmp_path / "a.tif").write_bytes(tiff(LAYOUTS[0], iptc=Value(33723, 7, data)))
    for ext in ("tiff", "jpg"):
        outcome, result = enlarged(tmp_path / "a.tif", tmp_path / "out", ext=ext)
        check_told(Path(outcome.output))
        kept = bytes(result.get("iptc-data")) if result.get_typeof("iptc-data") else b""
        assert (data in kept) == (size < 60_000 or ext == "tiff")


@pytest.mark.parametrize(
    "junk", [b"\0", b"Exif\0\0", b"Exif\0\0MM\0*\0\0\0\x08\xff\xff", b"x" * 99]
)
def test_a_broken_block_leaves_the_file_as_it_was(tmp_path: Path, junk: bytes) -> None:
    held = image(PIXELS, "rgb16").copy()
    held.tiffsave(str(tmp_path / "a.tif"))
    before = (tmp_path / "a.tif").read_bytes()
    held.set_type(pyvips.GValue.blob_type, "exif-data", junk)
    add_metadata(held, str(tmp_path / "a.tif").encode())
    assert (tmp_path / "a.tif").read_bytes() == before


def test_a_file_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write tiff"):
        add_metadata(image(PIXELS, "rgb16"), str(tmp_path / "none.tif").encode())


def test_broken_metadata_does_not_stop_the_picture(tmp_path: Path) -> None:
    content = bytearray(tiff(LAYOUTS[0]))
    place = content.index(struct.pack("<HHI", EXIF, 4, 1)) + 8
    content[place : place + 4] = b"\xff" * 4
    (tmp_path / "a.tif").write_bytes(content)
    outcome, result = enlarged(tmp_path / "a.tif", tmp_path / "out")
    assert exif_of(Path(outcome.output))["main"][271] == "Maker"
    assert (result.numpy() == repeated(PIXELS)).all()


class Counting(io.BytesIO):
    """Says how many bytes were taken out."""

    taken = 0

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        self.taken += len(data)
        return data


def check_hostile(content: bytes) -> None:
    file = Counting(content)
    exif, iptc = read_exif(file), read_iptc(file)
    assert file.taken < MOST_READ
    assert len(exif or b"") < 65_000
    assert len(iptc or b"") < 65_000


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["", "II*\0", "MM\0*", "II+\0", "MM\0+"]))
def test_any_bytes_as_a_file(noise: bytes, mark: str) -> None:
    check_hostile(mark.encode() + noise)
    check_hostile(mark.encode() + struct.pack("<I", 8) + noise)
    check_hostile(mark.encode() + struct.pack(">HHQ", 8, 0, 16) + noise)


@settings(deadline=None)
@given(
    st.sampled_from(LAYOUTS),
    st.integers(0, 2000),
    st.lists(st.tuples(st.integers(0, 1200), st.binary(min_size=1, max_size=8)), max_size=6),
)
def test_damaged_files(layout: Layout, cut: int, damage: list[tuple[int, bytes]]) -> None:
    content = bytearray(tiff(layout, False, Value(33723, 7, IPTC)))
    for place, noise in damage:
        content[place : place + len(noise)] = noise
    check_hostile(bytes(content))
    check_hostile(bytes(content[:cut]))


@pytest.mark.parametrize("layout", LAYOUTS, ids=NAMES)
def test_directories_in_a_loop_are_read_once(layout: Layout) -> None:
    head = (b"II" if layout.order == "<" else b"MM") + struct.pack(
        layout.order + "H", 43 if layout.big else 42
    )
    head += struct.pack(layout.order + "HH", 8, 0) if layout.big else b""
    start = len(head) + struct.calcsize(layout.form("P"))
    here = [numbers(layout, key, 4, start) for key in (EXIF, GPS, INTEROP)]
    much = [Value(270, 2, b"a" * 50_000), Value(271, 2, b"a" * 50_000)]
    block, _ = pack({MAIN: [*here, *much]}, layout, start, following=start)
    check_hostile(head + struct.pack(layout.form("P"), start) + block)


@settings(deadline=None)
@given(
    st.sampled_from(LAYOUTS[::2]),
    st.lists(st.tuples(st.integers(0, 500), st.binary(min_size=1, max_size=8)), max_size=6),
    st.binary(max_size=60),
)
def test_damaged_blocks_do_not_damage_the_file(
    tmp_path_factory: pytest.TempPathFactory,
    layout: Layout,
    damage: list[tuple[int, bytes]],
    iptc: bytes,
) -> None:
    block = bytearray(read_exif(io.BytesIO(tiff(layout))) or b"")
    for place, noise in damage:
        block[place : place + len(noise)] = noise
    held = image(PIXELS, "rgb16").copy()
    held.set_type(pyvips.GValue.blob_type, "exif-data", bytes(block))
    held.set_type(pyvips.GValue.blob_type, "iptc-data", b"Photoshop 3.0\x008BIM\x04\x04" + iptc)
    path = tmp_path_factory.getbasetemp() / "damaged.tif"
    held.tiffsave(str(path))
    add_metadata(held, str(path).encode())
    assert (opened(path).numpy() == PIXELS).all()


def test_a_tiff_without_metadata_gets_none(tmp_path: Path) -> None:
    image(PIXELS, "rgb16").tiffsave(str(tmp_path / "a.tif"))
    (outcome,) = enlarge(tmp_path / "a.tif", out=tmp_path / "out")
    exif = exif_of(Path(outcome.output or ""))
    assert not {EXIF, GPS, 271} & set(exif["main"])
