"""Every command and program of the README runs."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

from fourfold.cli.main import run

ROOT = Path(__file__).parents[2]
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S)
COMMANDS = [
    line
    for kind, block in BLOCKS
    if kind == "sh"
    for line in block.splitlines()
    if line.startswith("fourfold ")
]
PROGRAMS = [block for kind, block in BLOCKS if kind == "python"]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like a reader's: a small photo and an album with a sub-folder."""
    from fourfold.pictures.images import read_pixels, write_pixels

    photo = read_pixels(ROOT / "demo" / "chelsea.png")[:24, :32]
    write_pixels(photo, tmp_path / "photo.png")
    (tmp_path / "album" / "2019").mkdir(parents=True)
    for name in ("one.jpg", "2019/two.png"):
        write_pixels(photo, tmp_path / "album" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_command_works(command: str, desk: Path) -> None:
    before = {p for p in desk.rglob("*") if p.is_file()}
    assert run(shlex.split(command, comments=True)[1:]) == 0
    if "upscale" in command:
        assert {p for p in desk.rglob("*") if p.is_file()} > before


@pytest.mark.parametrize("program", PROGRAMS)
def test_program_prints_what_it_says(program: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(program, "README.md", "exec"), {})
    wanted = re.findall(r"print\(.*\)  # (.*)", program)
    assert capsys.readouterr().out.split("\n")[:-1] == wanted


def test_there_are_five_examples() -> None:
    assert len(COMMANDS) >= 5
    assert PROGRAMS


def test_make_demo_is_what_the_readme_says() -> None:
    assert (ROOT / "demo" / "chelsea.png").is_file()
    assert shutil.which("make") is None or "demo:" in (ROOT / "Makefile").read_text()
