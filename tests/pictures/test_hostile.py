"""Full disks, files that claim to be huge, and names that are markup or control characters."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage

from fourfold.pictures.png import packed
from tests.made_pictures import Nearest, enlarge, image

SIDE = 60_000
PIXELS = np.random.default_rng(9).integers(0, 256, (400, 500, 3), np.uint8)
EXTS = ["png", "jpg", "webp", "tiff", "avif"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 300 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or not hasattr(os, "geteuid") or os.geteuid() != 0:
        pytest.skip("only root mounts")
    options = ["-t", "tmpfs", "-o", "size=300k", "tmpfs", str(folder)]
    if subprocess.call([mount, *options], stderr=subprocess.DEVNULL, timeout=30) != 0:
        pytest.skip("may not mount here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True, timeout=30)


@pytest.mark.parametrize(
    ("ext", "max_memory"), [*((ext, 10**9) for ext in EXTS), ("png", 64), ("tiff", 64)]
)
def test_a_disk_that_fills_leaves_nothing(
    tmp_path: Path, small_disk: Path, ext: str, max_memory: int
) -> None:
    """With little memory the pixels fill it, else the result."""
    image(PIXELS).pngsave(str(tmp_path / "a.png"))
    quality = None if ext in ("png", "tiff") else 100
    network, out = Nearest(max_memory=max_memory), small_disk / "out"
    (outcome,) = enlarge(tmp_path / "a.png", out=out, upscaler=network, ext=ext, quality=quality)
    assert outcome.status == "failed"
    assert "No space left" in str(outcome.reason)
    assert_harmless(str(outcome.reason))
    assert not list(out.iterdir())


@pytest.mark.parametrize("ext", EXTS)
def test_a_limit_on_the_size_of_files_is_an_error(tmp_path: Path, ext: str) -> None:
    resource = pytest.importorskip("resource")
    assert resource
    image(PIXELS).pngsave(str(tmp_path / "a.png"))
    code = (
        "import resource, sys\nfrom pathlib import Path\n"
        "from tests.made_pictures import Nearest, enlarge\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "(done,) = enlarge(Path(sys.argv[1]), out=Path(sys.argv[2]), ext=sys.argv[3])\n"
        "print(done.status, done.reason)\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "a.png"), str(tmp_path / "out"), ext]
    root = Path(__file__).parents[2]
    found = subprocess.run(run, check=True, capture_output=True, text=True, timeout=60, cwd=root)
    assert found.stdout.startswith(f"failed {tmp_path / 'a.png'}"), found.stderr
    assert found.stdout.count("\n") == 1
    assert_harmless(found.stdout)
    assert not list((tmp_path / "out").iterdir())


def assert_harmless(reason: str) -> None:
    """In one line, without the names of files nobody asked for."""
    assert ".fourfold-" not in reason
    assert "bug" not in reason


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(height * (1 + 3 * width)) if width < 100 else b"")
    parts = [(b"IHDR", header), *chunks, (b"IDAT", rows), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed(*part) for part in parts)


def patched(form: str, start: bytes, *places: tuple[int, str]) -> bytes:
    """A small picture that says it is of `SIDE` at some places after `start`."""
    file = io.BytesIO()
    PillowImage.new("RGB", (16, 16)).save(file, form)
    data = bytearray(file.getvalue())
    for offset, number in places:
        struct.pack_into(number, data, data.index(start) + offset, SIDE)
    return bytes(data)


CODESTREAM = b"\xff\x4f\xff\x51"
JP2 = patched("jpeg2000", CODESTREAM, *((place, ">I") for place in (8, 12, 24, 28)))
HUGE = {
    "a.png": png(SIDE, SIDE),
    "a.jpg": patched("jpeg", b"\xff\xc0", (5, ">H"), (7, ">H")),
    "a.gif": b"GIF89a"
    + struct.pack("<HHBBB6x", 1, 1, 128, 0, 0)
    + b","
    + struct.pack("<HHHHB", 0, 0, SIDE, SIDE, 0)
    + b"\2\2L\1\0;",
    "a.bmp": patched("bmp", b"BM", (18, "<i"), (22, "<i")),
    "a.tif": patched("tiff", b"\x00\x01\x04\x00", (8, "<I"), (20, "<I")),
    "a.j2k": JP2[JP2.index(CODESTREAM) :],
    "a.tga": patched("tga", b"", (12, "<H"), (14, "<H")),
    "a.pcx": patched("pcx", b"\x0a", (8, "<H"), (10, "<H")),
    "a.dds": patched("dds", b"DDS", (12, "<I"), (16, "<I")),
    "a.qoi": b"qoif" + struct.pack(">IIBB", SIDE, SIDE, 3, 0) + bytes(20),
    "a.ppm": b"P6 60000 60000 255\n" + bytes(100),
}


@pytest.mark.parametrize("name", HUGE)
def test_huge_claims_are_refused_from_the_header(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(HUGE[name])
    (outcome,) = enlarge(tmp_path / name, out=tmp_path / "out")
    assert "max_pixels" in str(outcome.reason)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory as Linux tells it")
@pytest.mark.parametrize("name", [b"iCCP", b"zTXt"])
def test_metadata_that_unpack_to_much_stay_small(tmp_path: Path, name: bytes) -> None:
    squeezed = zlib.compress(bytes(200_000_000), 9)
    key = b"a" if name == b"iCCP" else b"XML:com.adobe.xmp"
    (tmp_path / "a.png").write_bytes(png(16, 16, (name, key + b"\0\0" + squeezed)))
    code = (
        "import sys\nfrom pathlib import Path\nfrom tests.made_pictures import enlarge\n"
        "def peak():\n"
        "    lines = Path('/proc/self/status').read_text().splitlines()\n"
        "    return next(int(line.split()[1]) for line in lines if line.startswith('VmHWM'))\n"
        "before = peak()\n"
        "enlarge(Path(sys.argv[1]), out=Path(sys.argv[2]))\nprint(peak() - before)\n"
    )
    run = [sys.executable, "-c", code, str(tmp_path / "a.png"), str(tmp_path / "out")]
    root = Path(__file__).parents[2]
    grown = subprocess.check_output(run, text=True, timeout=60, cwd=root)
    assert int(grown) < 100_000  # kB; libvips itself takes some


ODD_NAMES = ["<script>alert(1)", "a\nb", "red\x1b[31m", "[x]&amp;'\"", "%s{0}"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
@pytest.mark.parametrize("stem", ODD_NAMES)
def test_odd_names_are_enlarged_and_harmless_in_messages(tmp_path: Path, stem: str) -> None:
    (tmp_path / f"{stem}.png").write_bytes(image(PIXELS[:8, :8]).pngsave_buffer())
    (outcome,) = enlarge(tmp_path / f"{stem}.png", out=tmp_path / "out")
    assert outcome.status == "done", outcome.reason
    assert (tmp_path / "out" / f"{stem}_x2.png").exists()
    (tmp_path / f"{stem}.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (failed,) = enlarge(tmp_path / f"{stem}.png", out=tmp_path / "again")
    assert str(failed.reason).isprintable()
    assert json.loads(json.dumps(failed.reason)) == failed.reason


def test_temporary_files_are_not_named() -> None:
    from fourfold.pictures.vips import plain

    message = 'unable to open "/tmp/x/.fourfold-0123456789ab.part.png", or /tmp/fourfold-ab.icc'
    assert plain(message) == 'unable to open "a temporary file", or a temporary file'
