"""What is said in several places is the same in all of them, to the digit."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODELS = ("srresnet-x4", "srgan-x4")


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def figures(text: str, row: str) -> list[str]:
    """Figures with two decimals in the first row of a table that begins so."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {row}"))
    return re.findall(r"\d+\.\d\d\b", line)


def card(model: str) -> str:
    return read(f"src/fourfold/bundled/{model}.md")


@pytest.mark.parametrize("model", MODELS)
def test_scores_agree(model: str) -> None:
    # The last columns of scoring.md are the papers'.
    assert figures(read("README.md"), f"`{model}`") == figures(card(model), "fp32")
    assert figures(read("docs/scoring.md"), model)[:2] == figures(card(model), "fp32")


def test_scores_of_the_defaults_agree() -> None:
    ours = figures(read("README.md"), "`srgan-x4` with consistency, as used by default")
    assert ours == figures(card("srgan-x4"), "bf16, as used by default")


def test_scores_of_the_fast_model_agree() -> None:
    name = "srresnet-fast-x4"
    assert figures(read("README.md"), f"`{name}`") == figures(card(name), "without consistency")


def test_speeds_are_those_measured() -> None:
    results = read("benchmarks/results/inference.md")
    sentence = " ".join(
        read("README.md").partition("**Fast on a CPU.**")[2].split("\n- ")[0].split()
    )
    exact, rounded = (figures(results, f"openvino {name} ")[-1] for name in ("fp32", "bf16"))
    assert f"{exact} times as fast as plain torch: that is fp32, and exact" in sentence
    assert f"bf16 natively make it {rounded} times; bf16 rounds" in sentence


def test_call_chains_name_what_exists() -> None:
    chains = read("ARCHITECTURE.md").split("```")[1]
    rooms = {path.name for path in (ROOT / "src" / "fourfold").iterdir() if path.is_dir()}
    names = [n for n in re.findall(r"[a-z]\w*(?:\.\w+)+", chains) if n.split(".")[0] in rooms]
    assert len(names) > 20
    for name in names:
        assert exists(name), name


def exists(name: str) -> bool:
    """Whether `room.module.function` or `room.module.Class.method` is one."""
    parts = name.split(".")
    for length in range(len(parts), 1, -1):
        try:
            found = importlib.import_module(".".join(["fourfold", *parts[:length]]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part, None)
        return length < len(parts) and found is not None
    return False


@pytest.mark.parametrize("model", MODELS)
def test_it_is_said_what_the_models_were_trained_on(model: str) -> None:
    assert "Trained on clean pictures" in " ".join(card(model).split())
    assert "All but the `photo` ones were trained on clean pictures" in read("README.md")


def test_the_first_page_says_what_was_measured() -> None:
    page = " ".join(read("docs/index.md").split())
    paper = figures(read("docs/scoring.md"), "srresnet-x4")
    assert f"**{paper[0]} dB** PSNR of `srresnet-x4` on Set5" in page
    assert f"the paper has {paper[2]}" in page
    results = read("benchmarks/results/inference.md")
    exact, rounded = (figures(results, f"openvino {name} ")[-1] for name in ("fp32", "bf16"))
    assert f"**{exact}×** as fast as plain torch" in page
    assert f"{rounded}× where the CPU multiplies bf16" in page
    guide = " ".join(read("docs/guides/upscale.md").split())
    assert "12000×9000 pixels (1.7 gigapixels of result) stayed below 1.1 GB" in guide
    assert "**1.1 GB** of memory at most for a picture of 12000×9000 pixels" in page


def test_the_science_page_says_what_was_measured() -> None:
    page = read("docs/science.md")
    scores = figures(read("docs/scoring.md"), "srresnet-x4")
    run = re.search(
        r"SRResNet from random weights \| 5000 \| ([0-9.]+)", read("docs/training-runs.md")
    )
    assert run is not None
    assert f"Set5 {run[1]}, bicubic 28.43" in page
    assert f"Set5 {scores[0]}, paper {scores[2]}" in page
    alone = figures(read("docs/scoring.md"), "srgan-published-x4")[0]
    default = figures(card("srgan-x4"), "the published weights, as used by default")[0]
    assert f"rises from {alone} to {default} dB on Set5" in " ".join(page.split())


def test_what_the_science_page_names_exists() -> None:
    for name in re.findall(r"`(\w+/\w+\.(?:py|toml))`", read("docs/science.md")):
        assert (ROOT / "src" / "fourfold" / name).is_file(), name


@pytest.mark.parametrize("path", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda p: p.stem)
def test_workflows_and_forms_can_be_read(path: Path) -> None:
    yaml = pytest.importorskip("yaml")
    read_ = yaml.safe_load(path.read_text(encoding="utf-8"))
    if path.parent.name == "workflows":
        assert read_["permissions"] == {"contents": "read"}
        assert all(
            job["timeout-minutes"] <= 60 for job in read_["jobs"].values() if "strategy" in job
        )


@pytest.mark.parametrize("page", ["gallery", "gallery-real"])
def test_every_picture_of_a_gallery_is_there_and_they_are_small(page: str) -> None:
    shown = set(re.findall(rf"\({page}/([\w-]+\.webp)\)", read(f"docs/{page}.md")))
    there = {path.name: path.stat().st_size for path in (ROOT / "docs" / page).iterdir()}
    assert shown == set(there)
    assert sum(there.values()) < 1_500_000
