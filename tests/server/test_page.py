"""The page in a real browser: from files to results, with mouse, keys and a small window."""

from __future__ import annotations

import base64
import io
import os
import time
import zipfile
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from fourfold import upscale_bytes
from tests.made_films import make_film
from tests.made_services import png, serving

pytestmark = pytest.mark.timeout(280)

AXE = Path(os.environ.get("FOURFOLD_AXE", "node_modules/axe-core/axe.min.js"))


@pytest.fixture
def address(tmp_path):
    with serving(tmp_path) as (_, port):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def page(browser, address):
    """The page, with every host it asked and every error it met."""
    context = browser.new_context(viewport={"width": 1200, "height": 850}, accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.hosts, page.wrong = set(), []
    page.on("request", lambda request: page.hosts.add(urlsplit(request.url).netloc))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda said: page.wrong.append(said.text) if said.type == "error" else None)
    page.goto(address)
    yield page
    assert page.wrong == []
    context.close()


def until(page, expression: str, *, seconds: float = 120) -> None:
    # The page's policy forbids what `wait_for_function` does.
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def files(count: int) -> list[dict]:
    return [
        {"name": f"p{i}.png", "mimeType": "image/png", "buffer": png(20, 24, seed=i)}
        for i in range(count)
    ]


DROP = """async (sent) => {
  const data = new DataTransfer();
  for (const [name, text] of sent) {
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
    data.items.add(new File([bytes], name, {type: "image/png"}));
  }
  window.dispatchEvent(new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true}));
}"""


def test_from_files_to_results(page, address) -> None:
    sent = [(f"p{i}.png", base64.b64encode(png(20, 24, seed=i)).decode()) for i in range(3)]
    page.evaluate(DROP, sent)
    until(page, "document.querySelectorAll('#tray li').length === 3")
    until(page, "document.getElementById('estimate').textContent.includes('80 pixels')")
    until(page, "document.getElementById('after').naturalWidth === 80")
    first = page.evaluate("document.getElementById('after').src")
    assert "Automatic takes srgan-x4: " in page.locator("#judged").inner_text()
    page.locator("input[value=auto]").focus()
    page.keyboard.press("ArrowRight")  # the dial of texture
    page.locator("input[name=texture]").focus()
    page.keyboard.press("Home")  # faithful
    until(page, f"document.getElementById('after').src !== {first!r}")
    page.locator("input[name=texture]").focus()
    page.keyboard.press("End")
    page.check("input[value=auto]", force=True)
    page.click("#go")
    until(page, "document.querySelectorAll('#jobs li:not(.sending)').length === 3")
    page.reload()
    until(page, "document.querySelectorAll('#jobs li.done').length >= 3")
    with page.expect_download() as waiting:
        page.click("#zip")
    with zipfile.ZipFile(io.BytesIO(Path(waiting.value.path()).read_bytes())) as archive:
        made = {archive.read(name) for name in archive.namelist()}
    assert made == {upscale_bytes(png(20, 24, seed=i)) for i in range(3)}
    compare(page)
    assert page.hosts - {""} == {urlsplit(address).netloc}  # "" is of the page itself


def compare(page) -> None:
    """Border, zoom and movement; both layers stay together."""
    page.locator("#jobs li .acts button").first.click()
    until(page, "document.querySelector('#stage .layer:nth-child(2) img').naturalWidth === 96")
    handle = page.locator("#handle")
    page.keyboard.press("ArrowRight")
    assert handle.get_attribute("aria-valuenow") == "52"
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.52, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.25, box["y"] + 60, steps=3)
    page.mouse.up()
    assert handle.get_attribute("aria-valuenow") == "25"
    for _ in range(12):
        page.keyboard.press("+")
    page.mouse.move(box["x"] + 500, box["y"] + 400)
    page.mouse.wheel(0, -400)
    page.mouse.down()
    page.mouse.move(box["x"] + 560, box["y"] + 430, steps=3)
    page.mouse.up()
    transforms = page.evaluate(
        "[...document.querySelectorAll('#stage > .layer img')].map((image) => image.style.transform)"
    )
    assert transforms[0] == transforms[1]
    assert float(transforms[0].split("scale(")[1][:-1]) > 2
    page.keyboard.press("l")
    page.mouse.move(box["x"] + 600, box["y"] + 300)
    assert page.locator("#lens").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#viewer").is_visible()


NOTE = """() => {
  const note = document.createElement("li");
  document.querySelector("#jobs .notes").append(note);
  const display = getComputedStyle(note).display;
  note.remove();
  return display;
}"""


def test_a_phone_a_failure_and_a_deletion(page) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    bad = {"name": "notes.png", "mimeType": "image/png", "buffer": b"no picture"}
    page.set_input_files("#files", [*files(1), bad])
    page.click("#go")
    until(page, "document.querySelectorAll('#jobs li.done').length === 1")
    until(page, "document.querySelectorAll('#jobs li.failed').length === 1")
    assert "not a readable picture" in page.locator("#jobs li.failed").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(NOTE) == "list-item"  # and not laid out as a job
    page.locator("#jobs li.done .acts button").first.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    page.keyboard.press("Escape")
    page.locator("#jobs li.failed .acts button").click()
    until(page, "document.querySelectorAll('#jobs li').length === 1")
    # The thumbnail of what is no picture is refused, which browsers call an error.
    page.wrong[:] = [said for said in page.wrong if "422" not in said]


def test_everybody_can_use_it(page) -> None:
    if not AXE.is_file():
        pytest.skip("no axe-core; npm install axe-core, or set FOURFOLD_AXE to its axe.min.js")
    page.set_input_files("#files", files(2))
    until(page, "document.getElementById('after').naturalWidth === 80")
    page.click("#go")
    until(page, "document.querySelectorAll('#jobs li.done').length === 2")
    page.set_input_files("#files", files(1))
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        faults(page)
        page.locator("#jobs li .acts button").first.click()
        faults(page)
        page.keyboard.press("Escape")


def faults(page) -> None:
    page.evaluate(AXE.read_text(encoding="utf-8"))
    found = page.evaluate("axe.run()")["violations"]
    serious = [f["id"] for f in found if f["impact"] in ("serious", "critical")]
    where = [node["html"] for fault in found for node in fault["nodes"]]
    assert serious == [], where


@pytest.mark.slow
def test_a_film_is_watched(page, tmp_path) -> None:
    pytest.importorskip("av")
    page.set_input_files("#files", str(make_film(tmp_path / "film.mp4")))
    page.click("#go")
    until(page, "document.querySelectorAll('#jobs li.done').length === 1")
    page.locator("#jobs li .acts button").first.click()
    until(page, "document.querySelector('#stage video').videoWidth === 256")
    for id_ in ("lensswitch", "in", "smooth"):  # which are about pictures
        assert not page.locator(f"#{id_}").is_visible()
