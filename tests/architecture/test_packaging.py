"""Wheel and sdist hold what they should and nothing else; the wheel works outside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import tarfile
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

pytest.importorskip("build")
pytest.importorskip("hatchling")

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "fourfold"
MOST_BYTES = 16_000_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    # Without isolation nothing is fetched; the wheel is made from the sdist, so the sdist suffices.
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    subprocess.run(command, check=True, timeout=200, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> Path:
    (path,) = dist.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {
            name for name in archive.namelist() if not name.split("/")[0].endswith(".dist-info")
        }
        facts = {Path(name).name for name in archive.namelist()} - {
            Path(name).name for name in held
        }
    wanted = {
        f"fourfold/{path.relative_to(PACKAGE).as_posix()}"
        for path in PACKAGE.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == wanted
    assert {"METADATA", "entry_points.txt", "LICENSE", "NOTICE"} <= facts
    for needed in ("bundled/srgan-x4.safetensors", "bundled/demo/page.html.j2", "recipes/tiny.toml",
                   "server/page/index.html", "evaluation/report/page.html.j2"):  # fmt: skip
        assert f"fourfold/{needed}" in held
    assert wheel.stat().st_size < MOST_BYTES


def test_the_sdist_can_be_tested_and_holds_no_stray_files(dist: Path) -> None:
    (path,) = dist.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    for needed in (
        "pyproject.toml",
        "README.md",
        "LICENSE",
        "NOTICE",
        "tests/conftest.py",
        "constraints.txt",
    ):
        assert needed in held
    tops = {name.partition("/")[0] for name in held}
    assert not tops & {"runs-wip", "runs", "out", "build", "dist", "shared", ".venv"}


def test_indexes_accept_both(dist: Path) -> None:
    pytest.importorskip("twine")
    files = [str(path) for path in sorted(dist.iterdir())]
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    done = subprocess.run(command, check=False, timeout=100, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def fourfold(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The command, from the wheel in an environment of its own that borrows what fourfold needs."""
    folder = tmp_path_factory.mktemp("fresh")
    venv.create(folder, with_pip=False)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    command = [sys.executable, "-m", "pip", "--python", str(scripts / "python"), "install"]
    subprocess.run(
        [*command, "--no-deps", "--no-index", "--quiet", str(wheel)], check=True, timeout=200
    )
    (site,) = {
        path.parent for path in folder.rglob("fourfold") if path.parent.name == "site-packages"
    }
    # A line of a .pth file adds a folder but not what that folder's own .pth files add: this checkout.
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return scripts / "fourfold"


def run(fourfold: Path, *words: str, cwd: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [str(fourfold), *words],
        check=True, timeout=200, cwd=cwd, env=environment, stdout=subprocess.PIPE, text=True,
    ).stdout  # fmt: skip


def test_the_wheel_upscales_elsewhere(fourfold: Path, tmp_path: Path) -> None:
    from fourfold.pictures.images import read_pixels, write_pixels

    write_pixels(read_pixels(ROOT / "demo" / "chelsea.png")[:16, :20], tmp_path / "photo.png")
    assert "80x64" in run(fourfold, "upscale", "photo.png", cwd=tmp_path)
    assert "before and after" in run(fourfold, "demo", "--no-open", cwd=tmp_path)
    assert (tmp_path / "fourfold-demo" / "coffee_x4.png").is_file()
    assert "srresnet-x4" in run(fourfold, "models", "list", cwd=tmp_path)


def test_the_wheel_serves_elsewhere(fourfold: Path, tmp_path: Path) -> None:
    pytest.importorskip("starlette")
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    command = [str(fourfold), "serve", "--port", "0", "--data-dir", str(tmp_path / "data")]
    with (tmp_path / "log").open("w") as log:
        service = subprocess.Popen(
            command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=log, text=True
        )
    assert service.stdout is not None
    address = service.stdout.readline().strip()
    assert address.startswith("http://127.0.0.1:"), (tmp_path / "log").read_text()
    with urllib.request.urlopen(f"{address}healthz", timeout=60) as answer:
        assert answer.status == 200
    with urllib.request.urlopen(address, timeout=60) as answer:
        assert b"fourfold" in answer.read()
    service.terminate()
    service.communicate(timeout=60)


def test_the_wheel_trains_elsewhere(fourfold: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from fourfold.pictures.images import read_pixels, write_pixels

    (tmp_path / "photos").mkdir()
    write_pixels(
        read_pixels(ROOT / "demo" / "chelsea.png")[:64, :72], tmp_path / "photos" / "a.png"
    )
    settings = [
        *("data.train=photos", "data.valid=photos", "data.cache=cache", "data.crop=32", "steps=2"),
        *("batch_size=1", "data.workers=1", "device=cpu", "model.num_blocks=1", "model.width=8"),
    ]
    assert "2 steps" in run(fourfold, "train", "tiny", "--set", *settings, cwd=tmp_path)
    run(fourfold, "upscale", "-n", "runs/tiny", "photos/a.png", "-o", "b.png", cwd=tmp_path)
    assert (tmp_path / "b.png").is_file()
