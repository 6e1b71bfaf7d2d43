"""Learning from a teacher: lessons, imitation, exact resume, refusals."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import fourfold
from fourfold.datasets import CropSettings, find_sources, open_pairs
from fourfold.errors import ConfigError, DataError, FourfoldError, OutputError
from fourfold.training import lessons as lessons_module
from fourfold.training.journal import read_journal
from fourfold.training.lessons import LessonSet
from fourfold.training.loop import train
from fourfold.training.teacher import LessonMaker, open_teacher
from fourfold.weights.format import load_model, save_model
from tests.models import tiny_model
from tests.training.conftest import draw


@pytest.fixture(scope="session")
def teacher_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("teacher") / "teacher.safetensors"
    save_model(tiny_model(num_blocks=1), path)
    return path


@pytest.fixture
def distilling(settings, teacher_file, tmp_path):
    """Build the config of a tiny student."""

    def build(**changes):
        teacher = {
            "model": str(teacher_file),
            "precision": "fp32",
            "lessons": 12,
            "held_back": 2,
            "side": 12,
            "margin": 1,
            "cache": str(tmp_path / "lessons"),
        }
        values = {
            "model": {"architecture": "plain", "width": 8, "depth": 1},
            "losses": [
                {"kind": "pixel", "target": "teacher"},
                {"kind": "high_frequency", "target": "teacher"},
                {"kind": "pixel", "weight": 0.1},
            ],
            "teacher": teacher,
        }
        for key, value in changes.items():
            values[key] = {**values.get(key, {}), **value} if isinstance(value, dict) else value
        config = settings(**{k: v for k, v in values.items() if k != "model"})
        raw = config.model_dump()
        raw["model"] = values["model"]
        return type(config).model_validate(raw)

    return build


def same(first, second):
    ours, theirs = first.tensors(), second.tensors()
    return [n for n in ours if not torch.equal(ours[n], theirs[n])] == []


def test_a_student_comes_closer_to_its_teacher(distilling, tmp_path):
    config = distilling(steps=40, validate_every=20, optimizer={"learning_rate": 3e-3})
    train(config, output=tmp_path / "run")
    lines = read_journal(tmp_path / "run" / "journal.jsonl")
    psnrs = [line["psnr_to_teacher"] for line in lines if line["event"] == "imitation"]
    assert len(psnrs) == 2
    assert psnrs[1] > psnrs[0]
    report = next(line for line in lines if line["event"] == "report")
    assert {"pixel_teacher", "high_frequency_teacher", "pixel", "generator"} <= report.keys()
    (said,) = [line["text"] for line in lines if line["event"] == "teacher"]
    assert "10 lessons of tiny" in said
    assert "times" in said
    model = load_model(tmp_path / "run" / "model.safetensors")
    assert model.architecture == "plain"
    assert model.training["config"]["teacher"]["model"] == "teacher.safetensors"
    assert fourfold.Upscaler(tmp_path / "run").scale == 4


def test_resume_equals_a_straight_run(distilling, tmp_path):
    straight = train(distilling(steps=4), output=tmp_path / "straight")
    train(distilling(steps=2), output=tmp_path / "split")
    assert same(straight, train(distilling(steps=4), output=tmp_path / "split", resume=True))


def test_a_gan_against_the_teacher_resumes_exactly(distilling, tmp_path):
    table = {
        "losses": [
            {"kind": "pixel", "target": "teacher", "weight": 0.1},
            {"kind": "adversarial", "target": "teacher"},
            {"kind": "steady", "weight": 0.1},
            {"kind": "drift", "weight": 0.1},
        ],
        "gan": {"discriminator": "patch", "discriminator_width": 4, "allow_random_start": True},
        "consistency": True,
    }
    straight = train(distilling(steps=4, **table), output=tmp_path / "straight")
    train(distilling(steps=2, **table), output=tmp_path / "split")
    resumed = train(distilling(steps=4, **table), output=tmp_path / "split", resume=True)
    assert same(straight, resumed)
    report = read_journal(tmp_path / "split" / "journal.jsonl")
    assert any({"adversarial_teacher", "steady", "drift"} <= line.keys() for line in report)


@pytest.mark.slow
def test_a_killed_distillation_ends_as_a_straight_one(photos, teacher_file, tmp_path):
    """kill -9 while lessons are made, then in the middle of the steps."""

    def line(run: Path, cache: str) -> list[str]:
        changes = ["steps=30", "batch_size=2", "device=cpu", "precision=fp32", "data.crop=32",
                   "checkpoint_every=3", "report_every=1", "validate_every=30", "model.width=8",
                   "model.depth=1", "teacher.lessons=40", "teacher.held_back=2", "teacher.side=10",
                   "teacher.margin=1", "teacher.precision=fp32", f"teacher.cache={tmp_path / cache}",
                   f"data.cache={tmp_path / 'cache'}"]  # fmt: skip
        sets = [word for change in changes for word in ("--set", change)]
        return [sys.executable, "-m", "fourfold", "distill", str(teacher_file), "--data",
                str(photos), "--output", str(run), "--resume", *sets]  # fmt: skip

    import os

    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    source = str(Path(fourfold.__file__).parents[1])
    environment["PYTHONPATH"] = source

    def start(run: Path, cache: str) -> subprocess.Popen:
        return subprocess.Popen(
            line(run, cache), env=environment, stderr=subprocess.PIPE, text=True
        )

    def killed_when(run: Path, cache: str, reached) -> None:
        import time

        process = start(run, cache)
        deadline = time.monotonic() + 120
        while not reached() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
        process.communicate(timeout=60)

    run = tmp_path / "broken"
    killed_when(run, "second", lambda: any((tmp_path / "second").rglob("*.lessons")))
    journal = run / "journal.jsonl"
    killed_when(run, "second", lambda: journal.is_file() and '"step": 7' in journal.read_text())
    for folder, cache in (("broken", "second"), ("straight", "first")):
        process = start(tmp_path / folder, cache)
        _, said = process.communicate(timeout=240)
        assert process.returncode == 0, said
    from fourfold.training.checkpoint import list_checkpoints, read_checkpoint

    ends = [
        read_checkpoint(list_checkpoints(tmp_path / name / "checkpoints")[-1])[0]
        for name in ("broken", "straight")
    ]
    assert [n for n in ends[0] if not torch.equal(ends[0][n], ends[1][n])] == []


# --- lessons -----------------------------------------------------------------------------------


@pytest.fixture
def made(tmp_path):
    def one(number):
        rng = np.random.default_rng(number)
        sides = (6, 12, 12)
        return lessons_module.Lesson(*(rng.integers(0, 256, (s, s, 3), np.uint8) for s in sides))

    return LessonSet(tmp_path / "set", 20, 6, 2), one


def test_lessons_come_back(made):
    lessons, one = made
    assert lessons.make(one) == 20
    assert lessons.make(one) == 0
    for number in (0, 7, 8, 19):
        for ours, theirs in zip(lessons[number], one(number), strict=True):
            assert (ours == theirs).all()


def test_a_full_disk_keeps_what_was_made(made, monkeypatch):
    lessons, one = made
    real, calls = Path.write_bytes, []

    def full(path, content):
        calls.append(path)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, content)

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=r"No space left.*; 8 of 20 lessons are kept; make room"):
        lessons.make(one)
    monkeypatch.undo()
    assert lessons.make(one) == 16  # two files of eight


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_damaged_lessons_are_named_and_made_again(made, damage):
    lessons, one = made
    lessons.make(one)
    path = lessons.files[1]
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes({"cut": content[:50], "flipped": content, "empty": b""}[damage])
    with pytest.raises(DataError, match=r"00001\.lessons: damaged lessons .* remove this file"):
        LessonSet(lessons.folder, 20, 6, 2).make(one)
    path.unlink()
    assert LessonSet(lessons.folder, 20, 6, 2).make(one) == 8


def opened(config):
    from fourfold.training.build import open_crops
    from fourfold.training.device import make_accelerator

    return open_crops(config, make_accelerator(config), progress=lambda *_: None)


def test_lessons_fit_their_bound(distilling, tmp_path):
    one = 3 * 12 * 12 * (1 + 2 * 16)
    assert len(opened(distilling(teacher={"cache_gb": 9 * one / 1e9}))) == 8 - 2
    assert sum(f.stat().st_size for f in (tmp_path / "lessons").rglob("*.lessons")) <= 9 * one
    with pytest.raises(ConfigError, match=r"teacher\.cache_gb=.*: holds 0 lessons"):
        opened(distilling(teacher={"cache_gb": one / 1e9}))


def test_lessons_follow_from_teacher_data_and_settings(distilling):
    folders = {
        opened(distilling(**changes)).lessons.folder
        for changes in (
            {},
            {"steps": 3, "batch_size": 8, "data": {"crop": 16}},
            {"seed": 1},
            {"data": {"degradation": "jpeg"}},
            {"teacher": {"tta": True}},
            {"teacher": {"consistency": False}},
        )
    }
    assert len(folders) == 5


@pytest.mark.parametrize("degradation", ["bicubic", "jpeg", "real", "mixed"])
def test_a_lesson_is_what_the_teacher_makes_of_its_crop(distilling, photos, tmp_path, degradation):
    config = distilling(data={"degradation": degradation}, teacher={"margin": 2, "side": 10})
    teacher = open_teacher(config)
    pairs = open_pairs(find_sources(photos, scale=4), scale=4, cache=tmp_path / "cache")
    maker = LessonMaker(teacher, pairs, CropSettings(size=32), config)
    for number in range(6):
        lesson, again = maker(number), maker(number)
        assert [part.shape[0] for part in lesson] == [10, 40, 40]
        assert all((a == b).all() for a, b in zip(lesson, again, strict=True))
    # Beyond the teacher's reach from the edge, the margin makes no difference.
    alone = teacher.upscale(np.ascontiguousarray(lesson.lr))
    assert np.abs(alone.astype(int) - lesson.teacher).mean() < 20


def test_batches_are_cut_from_lessons(distilling, tmp_path):
    stream = opened(distilling(data={"crop": 16}))
    assert len(stream) == 10
    batch = stream.batch(0, size=20)
    assert [part.shape for part in batch] == [(20, 4, 4, 3), (20, 16, 16, 3), (20, 16, 16, 3)]
    halves = [stream.batch(0, size=20, rank=rank, processes=2) for rank in (0, 1)]
    assert (halves[0].lr == batch.lr[::2]).all()
    assert (halves[1].teacher == batch.teacher[1::2]).all()
    first = next(stream.batches(20, size=4, workers=2))
    assert (first.hr == stream.batch(20, size=4).hr).all()


def test_precision_auto_is_kept_by_a_resumed_run(distilling, tmp_path, monkeypatch):
    from fourfold.training import trial

    train(distilling(steps=1, precision="auto"), output=tmp_path / "run")
    text = (tmp_path / "run" / "config.toml").read_text()
    assert 'precision = "auto"' not in text.split("[")[0]
    monkeypatch.setattr(trial, "_try_all", lambda _: pytest.fail("tried again"))
    train(distilling(steps=2, precision="auto"), output=tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "config.toml").read_text().split("steps")[0] == text.split("steps")[
        0
    ]


# --- what goes wrong -----------------------------------------------------------------------------


def test_a_teacher_of_another_scale_is_refused(distilling, tmp_path):
    save_model(tiny_model(scale=2), tmp_path / "double.safetensors")
    config = distilling(teacher={"model": str(tmp_path / "double.safetensors")})
    with pytest.raises(
        ConfigError, match="enlarges 2 times, the student 4 times; want --set model"
    ):
        train(config, output=tmp_path / "run")


def test_missing_weights_of_a_loss_are_told_before_lessons_are_made(
    distilling, tmp_path, monkeypatch
):
    monkeypatch.delenv("FOURFOLD_METRICS", raising=False)
    with pytest.raises(FourfoldError, match="FOURFOLD_METRICS"):
        train(distilling(losses=[{"kind": "lpips"}]), output=tmp_path / "run")
    assert not (tmp_path / "lessons").exists()


def test_pictures_smaller_than_a_lesson_are_named(distilling, tmp_path):
    from fourfold.pictures.images import write_pixels

    write_pixels(draw(0, 40, 40), tmp_path / "small" / "a.png")
    with pytest.raises(DataError, match=r"40x40 pixels, want at least 56x56"):
        train(distilling(data={"train": str(tmp_path / "small")}), output=tmp_path / "run")
