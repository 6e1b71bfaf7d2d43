"""Every command on a page exists as it is written, and the light ones run in the page's order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from fourfold.cli.argv import expand_several_values
from fourfold.cli.main import app, run
from fourfold.pictures.images import read_pixels, write_pixels
from tests import made_networks, made_pages
from tests.made_films import make_film
from tests.made_ncnn import write_tiny_ncnn
from tests.made_pages import PAGES, ROOT

ELSEWHERE = {
    "s3://": "wants a bucket: tests/cluster, on a stand-in for S3",
    "--engine ray": "wants a cluster: tests/cluster/test_real_ray.py",
    "fourfold serve": "runs until it is stopped: tests/server",
    "fourfold play": "opens a player: tests/cli/test_play.py",
    "fourfold demo": "takes pictures of its own: tests/cli/test_demo.py",
    "fourfold doctor": "needs nothing of a page: test_readme.py",
    " - <": "reads standard input: tests/cli/test_upscale.py",
    " | ": "writes to another program: tests/cli/test_watch.py",
    "SLURM": "is a Slurm script",
    "torchrun": "is several processes: tests/training",
    "out.safetensors": "is fitted for minutes: tests/training/test_quantise.py",
    "models get": "downloads: tests/weights/test_getting.py",
    "mine-x4.pth": "wants a network as trained: tests/export/test_torch_file.py",
    "2x-HFA2kAVCCompact": "uses what was downloaded",
    "data prepare": "downloads: tests/datasets/test_div2k.py",
    "4x-Some-Model": "uses a network of others: tests/weights/readers",
    "train srresnet_x4": "wants DIV2K: tests/training",
    "train srgan_x4": "wants DIV2K and VGG19: tests/training",
    "train sharpen_photo_x4": "wants the weights of LPIPS: tests/training/test_distill.py",
    "runs/srresnet_x4": "goes on with a run of those",
    "photo-of-realesrgan-x4plus": "enlarges a whole film with what was distilled: tests/training",
}
"""What a line holds that is not run here, and why."""

TINY = {
    "tiny": ("model.num_blocks=1", "model.width=8"),
    "finetune_x4": (),
    "distill": (
        *("teacher.lessons=3", "teacher.side=24", "teacher.margin=0", "teacher.held_back=1"),
        *("teacher.cache=cache", "model.width=16", "model.depth=1"),
    ),
}
LIGHT = (
    "steps=2",
    "batch_size=1",
    "data.crop=48",
    "data.workers=1",
    "data.cache=cache",
    "device=cpu",
)
"""Settings that make a training a matter of seconds, for all recipes and for some."""

FOREIGN = {
    *("--nproc-per-node", "--logdir", "--no-deps"),
}
"""Options of other programs."""


def parsed(words: list[str]) -> tuple[str, dict[str, Any]]:
    """The command and its options as the real tree of commands reads them; it is not run."""
    command: Any = typer.main.get_command(app)
    names, rest = "fourfold", expand_several_values(words)
    while True:
        if names != "fourfold" and not rest:  # its name alone, within a sentence
            return "", {}
        context = command.make_context(names, list(rest))
        if not hasattr(command, "commands"):
            return names.partition(" ")[2], {**context.params, "others": context.args}
        word, command, rest = command.resolve_command(
            context, [*context._protected_args, *context.args]
        )
        names = f"{names} {word}"


def check(words: list[str]) -> None:
    """The values too, as far as they are known before the work."""
    from fourfold.cluster.run import Workers
    from fourfold.jobs.request import Request
    from fourfold.weights.zoo import BUNDLED

    if words[0].startswith("-"):  # --install-completion acts as soon as it is read
        assert set(words) <= {name for o in typer.main.get_command(app).params for name in o.opts}
        return
    command, values = parsed([word for word in words if word != "--help"])
    if command == "play":
        command, values = parsed(["upscale", values["film"], *values["others"]])
    if command == "upscale":
        wanted = {key: value for key, value in values.items() if key in Request.model_fields}
        Request(
            source=(values["inputs"] or ["x.mp4" if values["preview"] else "x.png"])[0], **wanted
        )
        Workers.parse(values["engine"], values["address"], values["workers"])
    if command in ("train", "distill"):
        from fourfold.training.recipes import load_config, recipe_names

        recipe = values.get("config", "distill")
        changes = [c for c in values["changes"] if not c.endswith("...")]
        if recipe in recipe_names() or re.fullmatch(r"[a-z]\w+", recipe):
            teacher = ["teacher.model=srgan-x4"] if command == "distill" else []
            load_config(recipe, changes=["data.train=photos", *teacher, *changes])
    for named in np.atleast_1d(values.get("model") or values.get("start") or []):
        ours = re.match(r"sr(gan|resnet)-", named)
        assert not ours or named in BUNDLED or named.endswith((".onnx", ".param")), named


@pytest.mark.parametrize("page", PAGES, ids=made_pages.name)
def test_every_command_exists_as_it_is_written(page: Path) -> None:
    lines = [*made_pages.commands(page), *made_pages.in_sentences(page)]
    assert lines
    wrong = []
    for line in lines:
        try:
            check(made_pages.words(line))
        except Exception as error:  # of the whole page, each is told
            wrong.append(f"{line}: {error!r}")
    assert wrong == []


@pytest.mark.parametrize("page", PAGES, ids=made_pages.name)
def test_every_option_named_in_a_sentence_exists(page: Path) -> None:
    known = FOREIGN | {"--help"}
    todo: list[Any] = [typer.main.get_command(app)]
    while todo:
        command = todo.pop()
        todo += getattr(command, "commands", {}).values()
        for option in command.params:
            known |= {*option.opts, *option.secondary_opts}
    assert made_pages.options(page) <= known


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with all the pages name: photos, an album, scans, data sets, a film, networks."""
    from fourfold.weights.format import save_model
    from tests.models import tiny_model

    photo = read_pixels(ROOT / "demo" / "chelsea.png")
    names = [f"{name}.{ext}" for name in ("photo", "picture") for ext in ("png", "jpg")]
    names += ["album/one.jpg", "album/2019/two.png", "scans/a.tif", "scan.tif"]
    for name in [*names, "0.png", "1.png", "2.png"]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        write_pixels(photo[:16, :20], tmp_path / name)
    tall = np.concatenate([photo, photo])
    for folder in ("photos", "held-back", "stills", "Set5", "Set14"):
        (tmp_path / folder).mkdir()
        side = 96 if folder == "stills" else 64  # lessons want their side times the scale
        for i in range(2):
            write_pixels(tall[: side + 4 * i, i : side + 8], tmp_path / folder / f"{i}.png")
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    save_model(tiny_model(), tmp_path / "runs" / "mine" / "model.safetensors")
    param = write_tiny_ncnn(tmp_path)
    for path in (param, param.with_suffix(".bin")):
        path.rename(path.with_stem("realesrgan-x4plus"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FOURFOLD_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path


def light(words: list[str]) -> list[str]:
    """The same command, made small where it trains."""
    if words[0] not in ("train", "distill"):
        return words
    recipe = words[1] if words[0] == "train" else "distill"
    return [*words, *(word for s in (*LIGHT, *TINY[recipe]) for word in ("--set", s))]


@pytest.mark.slow
@pytest.mark.parametrize("page", PAGES[1:], ids=made_pages.name)  # README: test_readme.py
def test_commands_and_programs_run_in_their_order(page: Path, desk: Path) -> None:
    lines = [line for line in made_pages.commands(page) if not any(w in line for w in ELSEWHERE)]
    if any(re.search(r"clip|film", text) for text in [*lines, *made_pages.programs(page)]):
        pytest.importorskip("av")
        # Pictures are rare, so that it is long enough to be cut at 1:30 and quickly enlarged.
        stamps = [12 * second for second in (0, 1, 11, 15, 91, 92, 95)]
        make_film(desk / "clip.mp4", stamps=stamps, time_base=Fraction(1, 12), size=(192, 108))
    if any(" train " in line or " distill " in line or ".onnx" in line for line in lines):
        pytest.importorskip("torch")
    for line in lines:
        assert run(light(made_pages.words(line))) == 0, line
    names: dict[str, Any] = {}
    for program in made_pages.programs(page):
        if "fourfold.spandrel" in program:
            made_networks.spandrel()
        exec(compile(program, page.name, "exec"), names)


def test_what_is_not_run_is_on_a_page() -> None:
    lines = [line for page in PAGES for line in made_pages.commands(page)]
    assert [word for word in ELSEWHERE if not any(word in line for line in lines)] == []
