"""Wheel and sdist hold what they should and nothing else; the wheel works outside the repository."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
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


def test_the_wheel_works_elsewhere(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site)}

    def fourfold(*words: str) -> str:
        command = [sys.executable, "-m", "fourfold", *words]
        return subprocess.run(
            command,
            check=True,
            timeout=200,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
        ).stdout

    assert "before and after" in fourfold("demo", "--no-open")
    assert (tmp_path / "fourfold-demo" / "coffee_x4.png").is_file()
    assert "srresnet-x4" in fourfold("models", "list")
