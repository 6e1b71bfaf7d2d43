"""A session on a borrowed GPU, played on the CPU with tiny stages."""

from __future__ import annotations

import importlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest

from fourfold.errors import UsageError
from fourfold.pictures.images import write_pixels
from fourfold.training import loop
from fourfold.training.journal import read_journal
from fourfold.training.recipes import load_config
from fourfold.weights.format import load_model
from fourfold.weights.readers.perceptual import VARIABLE, read_lpips_weights
from fourfold.weights.zoo import BUNDLED
from tests.made_metrics import write_lpips_files
from tests.made_ncnn import write_tiny_ncnn

SCRIPTS = Path(__file__).parents[2] / "scripts"
sys.path.insert(0, str(SCRIPTS))
try:
    session = importlib.import_module("gpu_session")
    bundles = importlib.import_module("gpu_bundle")
finally:
    sys.path.remove(str(SCRIPTS))

SIDE = 64
SMALL = (
    "device=cpu",
    "precision=fp32",
    "batch_size=2",
    "steps=20",
    "checkpoint_every=5",
    "report_every=1",
    "data.crop=32",
    "data.degradation=bicubic",
    "model.scale=2",
    "model.width=8",
    "model.depth=1",
    "teacher.lessons=16",
    "teacher.held_back=2",
    "teacher.side=20",
    "teacher.margin=2",
)
FIRST = session.Stage("first", "srgan_photo_x4", 2, photo=True, changes=SMALL)
FEW = (*SMALL, "steps=4")
SECOND = session.Stage("second", "sharpen_photo_x4", 1, "first", photo=True, changes=FEW)
PLAIN = session.Stage("plain", "tiny", 1, changes=("steps=3", "device=cpu", "data.crop=32"))
BROKEN = session.Stage("broken", "tiny", 1, changes=("data.crop=30",))


@pytest.fixture(scope="session")
def photos(tmp_path_factory, draw) -> Path:
    folder = tmp_path_factory.mktemp("gpu_photos")
    for i in range(3):
        write_pixels(draw(150, 200, seed=i), folder / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def teacher(tmp_path_factory) -> Path:
    return write_tiny_ncnn(tmp_path_factory.mktemp("gpu_teacher"))


@pytest.fixture(scope="session")
def metrics(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("gpu_metrics")
    write_lpips_files(folder, "vgg")
    return folder


@pytest.fixture(scope="session")
def bundle(photos, teacher, metrics, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("gpu_bundle") / "bundle.zip"
    bundles.pack([photos], teacher, metrics, path, side=SIDE)
    return path


@pytest.fixture(autouse=True)
def short_trials(monkeypatch) -> None:
    monkeypatch.setattr(session, "TRIAL", (3, 1))


@pytest.fixture
def light(monkeypatch) -> None:
    """Bundles without the weights of VGG16."""
    monkeypatch.setattr(bundles, "narrow_vgg", lambda _metrics: bytes(100))


def run(bundle: Path, tmp_path: Path, *stages, **options) -> dict[str, tuple[bool, str]]:
    options = {"minutes": 30, "work": tmp_path / "work", **options}
    outcomes = session.run_session(bundle, tmp_path / "out", stages=stages, **options)
    return {name: (done, text) for name, done, text in outcomes}


def model_of(tmp_path: Path, name: str) -> bytes:
    return (tmp_path / "out" / name / "model.safetensors").read_bytes()


@pytest.mark.parametrize("kilobytes", [12, 20, 40])
def test_a_bundle_stays_below_its_size(photos, teacher, tmp_path, light, kilobytes) -> None:
    path = tmp_path / "bundle.zip"
    said = bundles.pack([photos], teacher, tmp_path, path, side=SIDE, megabytes=kilobytes / 1e3)
    assert path.stat().st_size < kilobytes * 1000
    with zipfile.ZipFile(path) as archive:
        crops = [name for name in archive.namelist() if name.startswith("photos/")]
        assert archive.read("teacher/tiny.bin") == teacher.with_suffix(".bin").read_bytes()
    assert f"{len(crops)} crops" in said
    # 18 crops of 3 photographs there are in all; as many as fit, of all photographs where it can be.
    assert len(crops) == 18 or path.stat().st_size > kilobytes * 1000 - 6000
    assert f"of {min(len(crops), 3)} photographs" in said


def test_what_does_not_fit_is_refused_in_one_line(photos, teacher, tmp_path, light, capsys) -> None:
    path = tmp_path / "bundle.zip"
    asked = ["--data", str(photos), "--teacher", str(teacher), "--metrics", str(tmp_path)]
    assert session.main(["pack", *asked, "-o", str(path), "--megabytes", "0.002"]) == 2
    assert "want photographs of at least 512x512 pixels" in capsys.readouterr().err
    with pytest.raises(
        UsageError, match=r"--megabytes 0.002: teacher and VGG16 take .* allow more"
    ):
        bundles.pack([photos], teacher, tmp_path, path, side=SIDE, megabytes=0.002)
    assert list(tmp_path.iterdir()) == []


def test_weights_of_vgg_come_back_to_the_half_step(metrics, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv(VARIABLE, str(metrics))
    before, heads = read_lpips_weights("vgg")
    (tmp_path / "vgg16.npz").write_bytes(bundles.narrow_vgg(metrics))
    bundles.widen_vgg(tmp_path / "vgg16.npz", tmp_path / "vgg16.ckpt")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "vgg16.ckpt"))
    after, same_heads = read_lpips_weights("vgg")
    for (ours, our_bias), (theirs, their_bias) in zip(after, before, strict=True):
        step = np.abs(theirs).max((1, 2, 3), keepdims=True) / 127
        assert (np.abs(ours - theirs) <= step * 0.501).all()
        assert np.array_equal(our_bias, their_bias)
    assert all(np.array_equal(a, b) for a, b in zip(heads, same_heads, strict=True))


def test_stages_build_on_each_other_and_are_made_once(bundle, tmp_path) -> None:
    outcomes = run(bundle, tmp_path, FIRST, SECOND)
    assert [text[:14] for _, text in outcomes.values()] == ["20 of 20 steps", "4 of 4 steps i"]
    for name, steps in (("first", 20), ("second", 4)):
        folder = tmp_path / "out" / name
        assert sorted(p.name for p in folder.iterdir()) == sorted(session.RESULTS)
        assert load_model(folder / "model.safetensors").name == name
        assert read_journal(folder / "journal.jsonl")[-1]["step"] == steps
    begun = read_journal(tmp_path / "out" / "second" / "journal.jsonl")
    assert any("starting from first" in line.get("text", "") for line in begun)
    again = run(bundle, tmp_path, FIRST, SECOND, minutes=0)
    assert set(again.values()) == {(True, "there already")}


def test_a_stage_that_fails_is_told_and_others_go_on(bundle, tmp_path, capsys) -> None:
    after = session.Stage("after", "tiny", 1, "broken")
    asked = ["run", str(bundle), "-o", str(tmp_path / "out"), "--work", str(tmp_path / "work")]
    assert session.main(asked, stages=(BROKEN, after, PLAIN)) == 1
    told = (tmp_path / "out" / "summary.txt").read_text().splitlines()
    assert told[0].startswith("broken: failed: ")
    assert "data.crop=30" in told[0]
    assert told[1] == "after: failed: begins from broken, which was not done"
    assert told[2].startswith("plain: 3 of 3 steps in ")
    assert told == capsys.readouterr().out.splitlines()[-3:]
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["plain", "summary.txt"]
    assert session.main(asked, stages=(PLAIN,)) == 0


def test_any_exception_fails_its_stage_alone(bundle, tmp_path, monkeypatch) -> None:
    def out_of_memory(config, *_):
        if config.name == "first":
            raise RuntimeError("CUDA out of memory.\nTried to allocate")
        return 0.01

    monkeypatch.setattr(session, "seconds_of_step", out_of_memory)
    outcomes = run(bundle, tmp_path, FIRST, PLAIN)
    assert outcomes["first"] == (False, "failed: RuntimeError: CUDA out of memory.")
    assert outcomes["plain"][0]


def test_a_session_that_is_ended_goes_on_as_if_it_had_not(bundle, tmp_path, monkeypatch) -> None:
    straight, ended = tmp_path / "straight", tmp_path / "ended"
    assert run(bundle, straight, FIRST)["first"][0]
    after_step = loop._after_step

    def end(run) -> None:
        after_step(run)
        if run.config.steps == 20 and run.state.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(loop, "_after_step", end)
        outcomes = run(bundle, ended, FIRST, PLAIN)
    assert set(outcomes.values()) == {(False, "not done: the time is up")}
    assert not (ended / "out").exists()
    assert run(bundle, ended, FIRST)["first"][0]
    assert model_of(ended, "first") == model_of(straight, "first")


@pytest.mark.slow
def test_a_killed_session_goes_on(bundle, tmp_path) -> None:
    code = f"""
import sys
from pathlib import Path
sys.path[:0] = [{str(SCRIPTS)!r}, {str(SCRIPTS.parent)!r}]
import torch
torch.set_num_threads(1)
import tests.scripts.test_gpu_session as t
from gpu_session import run_session
root = Path(sys.argv[1])
print(run_session(Path({str(bundle)!r}), root / "out", work=root / "work", stages=(t.PLAIN, t.LONG)))
"""
    line = [sys.executable, "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent / "src"), "OMP_NUM_THREADS": "1"}
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    subprocess.run([*line, str(straight)], env=environment, check=True, timeout=250)
    process = subprocess.Popen([*line, str(killed)], env=environment)
    deadline = time.monotonic() + 120
    while not list((killed / "work").glob("*/runs/long/checkpoints/*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait(timeout=60)
    assert [p.name for p in (killed / "out").iterdir()] == ["plain"]
    subprocess.run([*line, str(killed)], env=environment, check=True, timeout=250)
    assert model_of(killed, "long") == model_of(straight, "long")


LONG = FIRST._replace(name="long", changes=(*SMALL, "steps=100"))


def test_without_time_nothing_is_begun(bundle, tmp_path) -> None:
    outcomes = run(bundle, tmp_path, FIRST, PLAIN, minutes=0)
    assert set(outcomes.values()) == {(False, "not done: the time is up")}


def test_the_end_comes_in_time_whatever_goes_on() -> None:
    with pytest.raises(session.TimeIsUp), session.ending_at(time.monotonic() + 0.05):
        time.sleep(20)
        pytest.fail("nothing ended the sleep")


def test_steps_and_lessons_follow_from_the_time(bundle, tmp_path, monkeypatch) -> None:
    folder = bundles.unpack(bundle, tmp_path)
    made = session.Session(folder, tmp_path / "out", (SECOND,))
    changes = [*made.settings(SECOND), "teacher.lessons=24", "steps=1000", "precision=auto"]
    config = load_config(SECOND.recipe, changes=changes)
    monkeypatch.setattr(session, "seconds_of_step", lambda *_: 10.0)
    planned = session.plan(config, None, tmp_path / "run", 1200)
    assert 80 <= planned.steps <= 108
    assert planned.gan.lead_in == planned.optimizer.warmup == planned.steps // 10
    assert planned.teacher.lessons == 24
    assert planned.precision in ("fp32", "bf16")
    assert session.plan(config, None, tmp_path / "run", 1e6).steps == 1000
    fewer = load_config(SECOND.recipe, changes=[*changes, "seed=1", "precision=fp32"])
    with pytest.raises(session.TrainingError, match=r"8 lessons took .* want more minutes"):
        session.make_lessons(fewer, 0)
    monkeypatch.setattr(session, "LESSONS_SHARE", 0)
    assert session.make_lessons(fewer, 1e6).teacher.lessons == 16  # those held back, and a file
    with pytest.raises(session.TrainingError, match="want more minutes"):
        session.plan(config, None, tmp_path / "run", 5)


def test_what_is_no_bundle_is_refused_in_one_line(tmp_path, capsys) -> None:
    (tmp_path / "bundle.zip").write_bytes(b"PK no more")
    for name in ("bundle.zip", "missing.zip"):
        assert session.main(["run", str(tmp_path / name), "-o", str(tmp_path / "out")]) == 1
        assert "want what `pack` made, whole" in capsys.readouterr().err


def test_every_stage_fits_what_it_begins_from(tmp_path) -> None:
    (tmp_path / "teacher").mkdir()
    (tmp_path / "teacher" / "any.param").touch()
    made = session.Session(tmp_path, tmp_path, session.STAGES)
    shapes: dict[str, object] = {}
    for stage in session.STAGES:
        config = load_config(stage.recipe, changes=made.settings(stage))
        assert shapes.get(stage.start, config.model) == config.model
        assert stage.start in {"", *shapes, *BUNDLED}
        assert bool(config.teacher.model.endswith("any.param")) == stage.photo
        shapes[stage.name] = config.model
