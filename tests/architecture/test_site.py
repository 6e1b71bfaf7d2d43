"""The site: every page is built without a warning, and none asks another host for anything."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
AXE = Path(os.environ.get("FOURFOLD_AXE", "node_modules/axe-core/axe.min.js"))
FETCHING = {
    ("script", "src"),
    ("img", "src"),
    ("link", "href"),
    ("iframe", "src"),
    ("source", "src"),
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("mkdocstrings")
    pytest.importorskip("material")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--quiet",
        "--site-dir",
        str(folder),
    ]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "true", "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, check=False, timeout=280, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


class Links(HTMLParser):
    """What a page links to and what it fetches."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.linked: list[str] = []
        self.fetched: list[str] = []
        self.ids: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id" and value:
                self.ids.add(value)
            if tag == "a" and name == "href" and value:
                self.linked.append(value)
            if (tag, name) in FETCHING and value:
                self.fetched.append(value)


@pytest.mark.slow
def test_the_site(site: Path) -> None:
    pages = {path: Links(path) for path in site.rglob("*.html")}
    assert len(pages) > 50
    for page, links in pages.items():
        for address in links.fetched:
            assert not urlsplit(address).netloc, f"{page.name} fetches {address}"
        if page.name == "404.html":  # its links count from the root of a site, wherever it is shown
            continue
        for address in links.linked:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            assert target.is_file(), f"{page.name} links to {address}"
            if parts.fragment and target in pages:
                known = pages[target].ids
                assert unquote(parts.fragment) in known, f"{page.name} links to {address}"
    for sheet in site.rglob("*.css"):
        assert not re.search(r"(@import|url\()\s*['\"]?https?:", sheet.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 360])
@pytest.mark.parametrize(("scheme", "theme"), [("light", "default"), ("dark", "slate")])
def test_everybody_can_read_it(
    site: Path, browser: Any, scheme: str, theme: str, width: int
) -> None:
    if not AXE.is_file():
        pytest.skip("no axe-core; npm install axe-core, or set FOURFOLD_AXE to its axe.min.js")
    # One of its own for each theme: the page remembers the first.
    context = browser.new_context(
        viewport={"width": width, "height": 800}, color_scheme=scheme, reduced_motion="reduce"
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    for name in ("index", "guides/upscale", "gallery", "tutorials/from-scratch"):
        page.goto((site / f"{name}.html").as_uri())
        assert page.evaluate("document.body.dataset.mdColorScheme") == theme
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name
        page.evaluate(AXE.read_text(encoding="utf-8"))
        found = page.evaluate("axe.run()")["violations"]
        serious = [fault for fault in found if fault["impact"] in ("serious", "critical")]
        assert [(f["id"], f["nodes"][0]["html"]) for f in serious] == [], name
    context.close()


def test_every_command_is_in_the_reference() -> None:
    pytest.importorskip("mkdocs")
    pytest.importorskip("latex2mathml")
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        import docs_site
    finally:
        sys.path.pop(0)
    page = docs_site.commands_page()
    for command in ("upscale", "demo", "train", "models get", "data prepare", "serve", "doctor"):
        assert f"## `fourfold {command}`" in page
    for option in ("`--fit`", "`--no-consistency`", "`--token`", "`--license`"):
        assert option in page
