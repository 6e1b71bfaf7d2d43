"""The report: what it shows, and that it works in a real browser without a network."""

from __future__ import annotations

import os
import re

import numpy as np
import pytest

from fourfold.evaluation import Contestant, bicubic, build_rows, evaluate, open_dataset
from fourfold.evaluation.published import published_rows
from fourfold.evaluation.report import ReportWriter
from fourfold.evaluation.report.page import render
from fourfold.evaluation.report.pictures import disagreement, separate_windows, where_largest
from fourfold.evaluation.report.plot import plot_svg
from fourfold.pictures.images import write_pixels

RED, BLUE = (200, 20, 20), (20, 20, 200)
NASTY = "<b>&\"quoted'"


def flat(name, colour):
    def upscale(lr):
        return np.full((lr.shape[0] * 4, lr.shape[1] * 4, 3), colour, np.uint8)

    return Contestant(
        name=name, scale=4, upscale=upscale, weights_sha256="cd" * 32, parameters=1_550_000,
        flops_per_output_pixel=277_000.0, settings={"precision": "fp32", "backend": "none"},
    )  # fmt: skip


def make_report(folder, draw, *, names=("one", "two"), **options):
    for seed, name in enumerate(names):
        write_pixels(draw(120, 160, seed), folder / "Tiny" / f"{name}.png")
    dataset = open_dataset(folder / "Tiny", scale=4)
    contestants = [bicubic(4), flat("red-net", RED), flat(NASTY, BLUE)]
    writer = ReportWriter(**options)
    scored = evaluate(contestants, [dataset], on_scene=writer.add)
    rows = build_rows(scored, contestants, [dataset])
    return writer.html(rows + published_rows("Set5", images=5, scale=4))


@pytest.fixture(scope="module")
def page_html(tmp_path_factory, draw):
    return make_report(tmp_path_factory.mktemp("report"), draw)


def test_the_file_names_nothing_outside_itself(page_html):
    assert not re.search(r"(src|href)=\"(?!data:)", page_html)
    assert not re.search(r"https?:|url\(|@import|<link", page_html)
    assert "default-src 'none'" in page_html


def test_names_are_escaped(page_html):
    assert NASTY not in page_html
    assert "&lt;b&gt;&amp;&#34;quoted&#39;" in page_html


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_of_pictures_are_escaped(tmp_path, draw):
    html = make_report(tmp_path, draw, names=("<script>alert(1)",))
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html


def test_table_plot_and_published_rows_are_there(page_html):
    assert "<svg" in page_html
    assert "SRGAN (paper)" in page_html
    assert "277 kFLOP per pixel of result" in page_html
    assert page_html.count('<article class="scene">') == 2


def test_a_spent_budget_leaves_crops_only(tmp_path, draw):
    html = make_report(tmp_path, draw, views_budget=1)
    assert html.count('<figure class="compare"') == 1
    assert html.count('<p class="hint">') == 2


def test_large_pictures_are_shown_in_part(tmp_path, draw, monkeypatch):
    monkeypatch.setattr("fourfold.evaluation.report.pictures.VIEW_SIDE", 100)
    html = make_report(tmp_path, draw, names=("one",))
    assert "a 100 by 100 part is shown" in html


def test_crops_lie_where_models_differ_and_do_not_overlap():
    amount = np.zeros((90, 200))
    amount[10:30, 120:140] = 3
    amount[60:80, 20:40] = 2
    first, second = separate_windows(amount, 40, 2)
    assert first.left <= 120 < 140 <= first.left + 40
    assert second.top <= 60 < 80 <= second.top + 40
    assert second.left <= 20 < 40 <= second.left + 40
    assert len(separate_windows(np.ones((30, 30)), 40, 2)) == 1
    whole = where_largest(amount, 500)
    assert (whole.height, whole.width) == (90, 200)


def test_one_model_is_compared_with_bicubic():
    dark, light = np.zeros((4, 4, 3), np.uint8), np.full((4, 4, 3), 255, np.uint8)
    np.testing.assert_allclose(disagreement({"bicubic": dark, "net": light}), 219)
    np.testing.assert_allclose(disagreement({"bicubic": dark, "a": light, "b": light}), 0)


def test_a_plot_without_points_is_empty():
    assert plot_svg([{"psnr_y": None, "model": "x"}], title="t") == ""
    same = [{"psnr_y": 30.0, "model": "x", "megapixels_per_second": 1.0}]
    assert "NaN" not in plot_svg(same, title="t")


@pytest.fixture
def opened(browser, page_html, tmp_path):
    """The report in a page, with what it asked for and what went wrong."""
    file = tmp_path / "report.html"
    file.write_text(page_html, encoding="utf-8")
    page = browser.new_page(viewport={"width": 1100, "height": 900})
    page.set_default_timeout(120_000)
    page.asked, page.wrong = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda message: page.wrong.append(message.text))
    page.goto(file.as_uri())
    yield page
    page.close()


def centre_colour(page):
    """The pixel in the middle of the first slider's left half, as a screenshot has it."""
    import pyvips

    stage = page.locator(".stage").first
    shot = pyvips.Image.new_from_buffer(stage.screenshot(), "").numpy()
    return tuple(int(v) for v in shot[shot.shape[0] // 4, shot.shape[1] // 3, :3])


def near(got, want):
    return max(abs(g - w) for g, w in zip(got, want, strict=True)) < 12


def test_nothing_is_fetched_and_all_images_load(opened):
    opened.wait_for_function("[...document.images].every((image) => image.complete)")
    sizes = opened.evaluate("[...document.images].map((image) => image.naturalWidth)")
    # Two pictures: four whole views, and two crops of four.
    assert len(sizes) == 2 * (4 + 2 * 4)
    assert min(sizes) > 0
    assert [url for url in opened.asked if not url.startswith(("file:", "data:"))] == []
    assert opened.wrong == []


def test_the_slider_moves_by_keyboard_and_mouse(opened):
    figure = opened.locator(".compare").first
    figure.locator("select[data-side=left]").select_option("red-net")
    figure.locator("select[data-side=right]").select_option(NASTY)
    slider = figure.locator("input[type=range]")
    slider.focus()
    opened.keyboard.press("Home")
    assert near(centre_colour(opened), BLUE)
    opened.keyboard.press("End")
    assert near(centre_colour(opened), RED)
    box = slider.bounding_box()
    opened.mouse.click(box["x"] + box["width"] * 0.1, box["y"] + box["height"] / 2)
    assert near(centre_colour(opened), BLUE)
    cut = figure.locator(".stage").evaluate("(stage) => stage.style.getPropertyValue('--cut')")
    assert float(cut.removesuffix("%")) == pytest.approx(10, abs=3)


def test_each_variant_can_be_chosen_on_both_sides(opened):
    figure = opened.locator(".compare").first
    want = ["bicubic", "red-net", NASTY, "HR"]
    for side in ("left", "right"):
        select = figure.locator(f"select[data-side={side}]")
        assert select.locator("option").all_text_contents() == want
        select.select_option("HR")
        assert "the original" in figure.locator(f".label.{side}").text_content()
    assert figure.locator("img.on-left.on-right").count() == 1


def test_the_toolbar_sets_all_sliders(opened):
    opened.locator(".toolbar select[data-side=left]").select_option("HR")
    chosen = opened.locator(".compare select[data-side=left]")
    assert chosen.evaluate_all("(all) => all.map((one) => one.value)") == ["HR", "HR"]


def test_dark_and_light_can_be_switched(opened):
    background = "getComputedStyle(document.body).backgroundColor"
    before = opened.evaluate(background)
    opened.locator("#theme").click()
    assert opened.evaluate(background) != before


@pytest.mark.parametrize("width", [320, 390, 768, 1600])
def test_the_page_fits_any_width(opened, width):
    opened.set_viewport_size({"width": width, "height": 800})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width


@pytest.fixture(scope="module")
def charted(browser, tmp_path_factory):
    """A page with a crowded chart: five models, long names, three published lines."""
    facts = {"dataset": "Set5", "scale": 4, "images": 5, "weights_sha256": None}
    facts |= dict.fromkeys(("ssim_y", "psnr_rgb", "ssim_rgb", "drift", "consistency_psnr"), 1.0)
    models = [("bicubic", 28.4, 9.0), ("srgan-x4", 29.2, 0.5), ("srresnet-x4", 32.0, 0.5)]
    models += [("a-model-with-a-name-of-forty-two-characters", 30.3, 30.0), ("mine", 31.0, 0.01)]
    rows = [
        facts | {"model": name, "psnr_y": psnr, "megapixels_per_second": rate}
        for name, psnr, rate in models
    ]
    file = tmp_path_factory.mktemp("charted") / "report.html"
    file.write_text(render(rows + published_rows("Set5", images=5, scale=4), []), "utf-8")
    page = browser.new_page()
    page.goto(file.as_uri())
    yield page
    page.close()


@pytest.mark.parametrize("width", [320, 390, 640, 641, 768, 1100, 1600])
def test_the_chart_is_whole_and_readable_at_any_width(charted, width):
    charted.set_viewport_size({"width": width, "height": 800})
    (chart,) = charted.evaluate(
        """[...document.querySelectorAll(".plot svg")].filter((svg) => svg.checkVisibility()).map(
        (svg) => {
          const frame = svg.getBoundingClientRect();
          const texts = [...svg.querySelectorAll("text")].map((t) => {
            const box = t.getBoundingClientRect();
            return [t.textContent, Math.min(box.left - frame.left, frame.right - box.right,
                    box.top - frame.top, frame.bottom - box.bottom), box.height];
          });
          return { left: frame.left, right: frame.right, texts };
        })"""
    )
    assert 0 <= chart["left"] < chart["right"] <= width
    assert [text for text, room, _ in chart["texts"] if room < -1] == []
    assert min(height for *_, height in chart["texts"]) > 9
    assert charted.evaluate("document.documentElement.scrollWidth") <= width


def test_a_script_in_a_file_name_is_text(browser, tmp_path, draw):
    name = "<script>document.title='evil'<" + chr(0x2215) + "script><img src=x onerror=alert(1)>"
    (tmp_path / "report.html").write_text(
        make_report(tmp_path, draw, names=(name, "'\"><script>document.title=1<")), "utf-8"
    )
    page = browser.new_page()
    wrong = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
    page.goto((tmp_path / "report.html").as_uri())
    assert page.title() == "fourfold evaluation"
    assert page.locator("script").count() == 1
    assert name in page.locator("h3").first.text_content() + page.locator("h3").last.text_content()
    assert wrong == []
    page.close()
