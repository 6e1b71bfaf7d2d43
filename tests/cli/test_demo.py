"""`fourfold demo` makes a page of its own pictures that asks nobody for anything."""

from __future__ import annotations

import re
import webbrowser
from pathlib import Path

import pytest

from fourfold.cli.demo import CREDITS
from fourfold.cli.main import run
from fourfold.jobs.outcome import Outcome
from fourfold.jobs.request import Request
from fourfold.weights.zoo import BUNDLED_DIR


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Addresses a browser was asked to open; pictures are not really enlarged."""

    def enlarge(request: Request) -> Outcome:
        source = Path(str(request.source))
        path = source.with_name(f"{source.stem}_x4.png")
        path.write_bytes(b"")
        return Outcome(input="", status="done", path=path, width=400, height=200, model="a<b")

    addresses: list[str] = []
    monkeypatch.setattr("fourfold.jobs.pipeline.run", enlarge)
    monkeypatch.setattr(webbrowser, "open", addresses.append)
    return addresses


def test_the_page_shows_both_sides_of_each_picture(tmp_path: Path, opened: list[str]) -> None:
    assert run(["demo", "-o", str(tmp_path / "new"), "--open"]) == 0
    page = (tmp_path / "new" / "index.html").read_text(encoding="utf-8")
    shown = re.findall(r'src="([^"]+)"', page)
    assert shown == [f"{Path(n).stem}{side}.png" for n in CREDITS for side in ("", "_x4")]
    assert all((tmp_path / "new" / name).is_file() for name in shown)
    assert "a&lt;b" in page
    assert "://" not in page
    assert opened == [(tmp_path / "new" / "index.html").as_uri()]


def test_nothing_opens_where_nobody_looks(tmp_path: Path, opened: list[str]) -> None:
    assert run(["demo", "-o", str(tmp_path)]) == 0
    assert opened == []


def test_what_ships_is_small_and_credited() -> None:
    pictures = sorted((BUNDLED_DIR / "demo").glob("*.png"))
    assert [path.name for path in pictures] == sorted(CREDITS)
    assert sum(path.stat().st_size for path in pictures) < 100_000
