"""The commands of the tutorials that need nothing but a picture run as they stand."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from fourfold.cli.main import run
from fourfold.pictures.images import read_pixels, write_pixels

ROOT = Path(__file__).parents[2]
PAGES = sorted((ROOT / "docs" / "tutorials").glob("*.md"))
ELSEWHERE = ("clip.mp4", "s3://", "fourfold serve", "runs/", "fourfold train")
"""What the commands name that is tried by tests of its own: films, buckets, services, training."""


def commands(page: Path) -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), re.S)
    return [line for block in blocks for line in block.splitlines() if line.startswith("fourfold ")]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.stem)
def test_commands_work_in_their_order(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = read_pixels(ROOT / "demo" / "chelsea.png")[:16, :20]
    (tmp_path / "album" / "2019").mkdir(parents=True)
    for name in ("photo.png", "album/one.jpg", "album/2019/two.png"):
        write_pixels(photo, tmp_path / name)
    monkeypatch.chdir(tmp_path)
    tried = 0
    for command in commands(page):
        if not any(word in command for word in ELSEWHERE):
            assert run(shlex.split(command, comments=True)[1:]) == 0, command
            tried += 1
    assert commands(page)
    assert tried or page.stem not in ("photos", "cluster")
