"""The loop: what a run leaves, that it resumes exactly, and how it refuses bad input."""

from __future__ import annotations

import json
import logging
import shutil
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from PIL import Image

import fourfold
from fourfold.errors import ConfigError, DataError, ModelError, TrainingError, UsageError
from fourfold.pictures.images import read_pixels, write_pixels
from fourfold.training import loop
from fourfold.training.checkpoint import list_checkpoints
from fourfold.training.journal import read_journal
from fourfold.training.loop import train
from fourfold.training.signals import StopRequest
from fourfold.training.steps import StepReport
from fourfold.weights.format import load_model


def assert_same(first, second):
    ours, theirs = first.tensors(), second.tensors()
    assert ours.keys() == theirs.keys()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different
    assert first.facts() == second.facts()


def test_a_run_leaves_what_the_contract_names(settings, tmp_path):
    run = tmp_path / "run"
    train(settings(), output=run)
    assert {p.name for p in run.iterdir()} >= {
        "config.toml",
        "journal.jsonl",
        "samples",
        "checkpoints",
        "model.safetensors",
    }
    assert any(p.name.startswith("events.out.tfevents") for p in run.iterdir())
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["3.png", "6.png"]
    model = load_model(run / "model.safetensors")
    assert model.training["config"]["steps"] == 6
    assert str(tmp_path) not in json.dumps(dict(model.training))
    lr = np.full((8, 9, 3), 90, np.uint8)
    assert fourfold.Upscaler(run).upscale(lr).shape == (32, 36, 3)


def test_sample_grid_shows_bicubic_result_and_original(settings, tmp_path):
    train(settings(steps=3), output=tmp_path / "run")
    grid = read_pixels(tmp_path / "run" / "samples" / "3.png")
    assert grid.shape == (3 * 192 + 2 * 4, 3 * 192 + 2 * 4, 3)


def test_samples_are_in_tensorboard_too_with_their_names(settings, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    train(settings(steps=3), output=tmp_path / "run")
    events = EventAccumulator(str(tmp_path / "run"))
    events.Reload()
    (tag,) = events.Tags()["images"]
    assert tag == "samples: bicubic, result, original"
    (image,) = events.Images(tag)
    assert (image.step, image.height, image.width) == (3, 3 * 192 + 2 * 4 + 20, 3 * 192 + 2 * 4)


def test_a_run_stopped_before_its_first_validation_has_a_model(settings, tmp_path, monkeypatch):
    stop = StopRequest()
    monkeypatch.setattr(loop, "stop_on_signal", lambda: nullcontext(stop))
    real = loop._after_step

    def stop_after_one(run):
        real(run)
        stop.signal = 2

    monkeypatch.setattr(loop, "_after_step", stop_after_one)
    state = train(settings(), output=tmp_path / "run")
    assert (state.step, load_model(tmp_path / "run" / "model.safetensors").training["step"]) == (
        1,
        1,
    )
    lr = np.full((8, 9, 3), 90, np.uint8)
    assert fourfold.Upscaler(tmp_path / "run").upscale(lr).shape == (32, 36, 3)


def test_a_run_killed_before_its_first_validation_has_a_model(settings, tmp_path, monkeypatch):
    def die(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(loop, "_validate", die)
    with pytest.raises(KeyboardInterrupt):
        train(settings(), output=tmp_path / "run")  # checkpoint at step 2, validation at 3
    assert load_model(tmp_path / "run" / "model.safetensors").training["step"] == 2


def test_journal_has_reports_and_scores(settings, tmp_path):
    train(settings(), output=tmp_path / "run")
    lines = read_journal(tmp_path / "run" / "journal.jsonl")
    reports = [line for line in lines if line["event"] == "report"]
    assert [line["step"] for line in reports] == [1, 2, 3, 4, 5, 6]
    assert reports[0]["learning_rate"] == 1e-4
    scores = [line["scores"] for line in lines if line["event"] == "validation"]
    assert all("psnr_y" in next(iter(score.values())) for score in scores)
    assert len(scores) == 2


@pytest.mark.parametrize("stage", ["settings", "gan"])
def test_resume_equals_an_uninterrupted_run(stage, request, tmp_path):
    build = request.getfixturevalue(stage)
    straight = train(build(steps=6), output=tmp_path / "straight")
    train(build(steps=4), output=tmp_path / "split")
    resumed = train(build(steps=6), output=tmp_path / "split", resume=True)
    assert resumed.step == 6
    ours, theirs = straight.tensors(), resumed.tensors()
    different = [name for name in ours if not torch.equal(ours[name], theirs[name])]
    assert not different


def test_resume_keeps_the_journal_of_a_straight_run(settings, tmp_path):
    train(settings(steps=6), output=tmp_path / "run")
    for path in list_checkpoints(tmp_path / "run" / "checkpoints")[-1:]:
        path.unlink()
    with (tmp_path / "run" / "journal.jsonl").open("a") as file:
        file.write('{"event": "report", "st')  # a torn line
    train(settings(steps=6), output=tmp_path / "run", resume=True)
    lines = read_journal(tmp_path / "run" / "journal.jsonl")
    assert [line["step"] for line in lines if line["event"] == "report"] == [1, 2, 3, 4, 5, 6]
    assert (tmp_path / "run" / "journal.jsonl").read_text().count("\n") == len(lines)


def test_resume_without_a_checkpoint_begins(settings, tmp_path):
    assert train(settings(steps=2), output=tmp_path / "run", resume=True).step == 2


def test_resume_says_from_where_and_what_changed(settings, tmp_path):
    train(settings(steps=3), output=tmp_path / "run")
    changed = settings(steps=4, optimizer={"learning_rate": 2e-4})
    train(changed, output=tmp_path / "run", resume=True)
    texts = [line.get("text", "") for line in read_journal(tmp_path / "run" / "journal.jsonl")]
    assert any(text.startswith("resumed from step 3, PSNR") for text in texts)
    assert "changed since: optimizer.learning_rate: 0.0001 -> 0.0002" in texts


def test_a_second_run_in_a_folder_is_refused(settings, tmp_path):
    train(settings(steps=2), output=tmp_path / "run")
    with pytest.raises(UsageError, match="holds a run at step 2; go on with --resume"):
        train(settings(steps=2), output=tmp_path / "run")


def test_keeps_the_last_checkpoints_and_the_best(settings, tmp_path):
    train(settings(steps=10, keep_checkpoints=3, checkpoint_every=1), output=tmp_path / "run")
    names = sorted(p.name for p in (tmp_path / "run" / "checkpoints").iterdir())
    steps = [f"step_{n:08d}.safetensors" for n in (8, 9, 10)]
    assert names == ["best.safetensors", *steps]


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_checkpoint_falls_back_to_the_one_before(settings, tmp_path, damage, caplog):
    straight = train(settings(steps=6), output=tmp_path / "straight")
    run = tmp_path / "run"
    train(settings(steps=4), output=run)
    last = list_checkpoints(run / "checkpoints")[-1]
    content = bytearray(last.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[-5] ^= 64
    else:
        content = bytearray()
    last.write_bytes(content)
    with caplog.at_level(logging.WARNING):
        resumed = train(settings(steps=6), output=run, resume=True)
    assert "step_00000004" in caplog.text
    assert "going back to the one before" in caplog.text
    different = {
        n for n, t in straight.tensors().items() if not torch.equal(t, resumed.tensors()[n])
    }
    assert not different


def test_all_checkpoints_damaged_is_an_error(settings, tmp_path):
    train(settings(steps=2), output=tmp_path / "run")
    for path in list_checkpoints(tmp_path / "run" / "checkpoints"):
        path.write_bytes(b"")
    with pytest.raises(ModelError, match="none of 1 checkpoints can be read"):
        train(settings(steps=4), output=tmp_path / "run", resume=True)


def test_a_full_disk_keeps_the_run_going_and_says_so(settings, tmp_path, monkeypatch, caplog):
    from fourfold.training import checkpoint

    real, calls = checkpoint.atomic_path, []

    def full_once(path):
        calls.append(path)
        if len(calls) == 2:
            raise loop.OutputError(f"{path}: cannot write (No space left on device)")
        return real(path)

    monkeypatch.setattr(checkpoint, "atomic_path", full_once)
    state = train(settings(steps=6, data={"valid": ()}), output=tmp_path / "run")
    assert state.step == 6
    assert "No space left on device); the run goes on, kept so far: step_00000002" in caplog.text


def test_starts_from_a_model_file(settings, tmp_path):
    train(settings(steps=2), output=tmp_path / "first")
    state = train(
        settings(steps=1, ema_decay=0), output=tmp_path / "next", start=str(tmp_path / "first")
    )
    assert not any("norm" in name for name, _ in state.generator.named_parameters())


def test_best_goes_by_psnr_and_last_by_time(settings, tmp_path, monkeypatch):
    scores = iter([30.0, 20.0] * 2)
    real = loop.validate

    def scored(model, sets, **rest):
        found = real(model, sets, **rest)
        psnr = next(scores)
        return found._replace(scores={n: s._replace(psnr_y=psnr) for n, s in found.scores.items()})

    monkeypatch.setattr(loop, "validate", scored)
    for keeps, step in (("best", 3), ("last", 6)):
        train(settings(model_file=keeps), output=tmp_path / keeps)
        assert load_model(tmp_path / keeps / "model.safetensors").training["step"] == step


# --- what goes wrong -------------------------------------------------------------------------


def test_a_non_finite_loss_skips_the_step(settings, tmp_path, monkeypatch):
    real, calls = loop.generator_step, []

    def poisoned(state, lr, targets, **shared):
        calls.append(1)
        return real(state, lr * float("nan") if len(calls) == 3 else lr, targets, **shared)

    monkeypatch.setattr(loop, "generator_step", poisoned)
    state = train(settings(steps=6), output=tmp_path / "run")
    assert len(calls) == 7
    assert all(torch.isfinite(t).all() for t in state.tensors().values())
    lines = read_journal(tmp_path / "run" / "journal.jsonl")
    assert [line["step"] for line in lines if line["event"] == "skipped"] == [2]


def test_repeated_non_finite_losses_roll_back(settings, tmp_path, monkeypatch):
    real, calls = loop.generator_step, []

    def poisoned(state, lr, targets, **shared):
        calls.append(state.step)
        if 4 <= len(calls) <= 5:
            return StepReport({}, False)
        return real(state, lr, targets, **shared)

    monkeypatch.setattr(loop, "generator_step", poisoned)
    state = train(settings(steps=6, health={"max_bad_steps": 2}), output=tmp_path / "run")
    assert calls == [0, 1, 2, 3, 3, 3, 4, 5]  # the checkpoint of step 3 is the newest
    assert state.samples == 16
    lines = read_journal(tmp_path / "run" / "journal.jsonl")
    assert [line["event"] for line in lines].count("rollback") == 1


def test_a_run_that_stays_non_finite_ends(settings, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "generator_step", lambda *_, **__: StepReport({}, False))
    with pytest.raises(TrainingError, match=r"lower optimizer\.learning_rate"):
        train(settings(), output=tmp_path / "run")


def test_srgan_refuses_random_weights(gan, tmp_path):
    with pytest.raises(ConfigError, match="--from srresnet-x4"):
        train(gan(gan={"allow_random_start": False}), output=tmp_path / "run")


def test_an_srgan_run_reports_both_networks(gan, tmp_path):
    train(gan(steps=2), output=tmp_path / "run")
    report = next(
        x for x in read_journal(tmp_path / "run" / "journal.jsonl") if x["event"] == "report"
    )
    assert {"content", "adversarial", "discriminator", "d_hr", "d_sr"} <= report.keys()


def test_lead_in_leaves_the_generator_alone(gan, tmp_path):
    config = gan(steps=2, ema_decay=0, gan={"lead_in": 2}, model={"norm": "none"})
    state = train(config, output=tmp_path / "run")
    fresh = train(
        gan(steps=1, ema_decay=0, gan={"lead_in": 1}, model={"norm": "none"}),
        output=tmp_path / "fresh",
    )
    for ours, theirs in zip(
        state.generator.parameters(), fresh.generator.parameters(), strict=True
    ):
        assert torch.equal(ours, theirs)


def _folder(tmp_path, *sides):
    for i, (height, width) in enumerate(sides):
        write_pixels(np.zeros((height, width, 3), np.uint8), tmp_path / "in" / f"{i}.png")
    (tmp_path / "in").mkdir(exist_ok=True)
    return tmp_path / "in"


def test_an_empty_folder_is_named(settings, tmp_path):
    folder = _folder(tmp_path)
    with pytest.raises(DataError, match=r"in: want pictures .* found none"):
        train(settings(data={"train": str(folder)}), output=tmp_path / "run")


def test_a_missing_folder_is_named(settings, tmp_path):
    with pytest.raises(DataError, match="nowhere: want a folder of pictures"):
        train(settings(data={"train": str(tmp_path / "nowhere")}), output=tmp_path / "run")


def test_a_picture_smaller_than_the_crop_is_named(settings, tmp_path):
    folder = _folder(tmp_path, (40, 40), (31, 200))
    with pytest.raises(DataError, match=r"1\.png: 200x28 pixels, want at least 32x32 \(1 of 2"):
        train(settings(data={"train": str(folder)}), output=tmp_path / "run")


def test_pairs_of_other_sizes_are_named(settings, tmp_path):
    write_pixels(np.zeros((64, 64, 3), np.uint8), tmp_path / "set" / "HR" / "a.png")
    write_pixels(
        np.zeros((32, 32, 3), np.uint8), tmp_path / "set" / "LR_bicubic" / "X4" / "ax4.png"
    )
    with pytest.raises(DataError, match=r"ax4\.png: 32x32 pixels, want 16x16"):
        train(settings(data={"train": str(tmp_path / "set")}), output=tmp_path / "run")


def test_a_text_file_named_as_a_picture_is_named(settings, tmp_path):
    folder = _folder(tmp_path, (40, 40))
    (folder / "notes.png").write_text("buy milk")
    with pytest.raises(DataError, match=r"notes\.png: not a readable picture"):
        train(settings(data={"train": str(folder)}), output=tmp_path / "run")


def test_a_bmp_among_the_pictures_is_learned_from(settings, photos, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(photos, folder)
    Image.open(folder / "photo0.png").save(folder / "more.bmp")
    config = settings(steps=1, data={"train": str(folder), "valid": str(folder)})
    assert train(config, output=tmp_path / "run").step == 1


def test_bad_pictures_can_be_left_out(settings, photos, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(photos, folder)
    (folder / "a.png").write_text("buy milk")
    data = {"train": str(folder), "valid": str(folder), "bad_pictures": "skip"}
    assert train(settings(steps=1, data=data), output=tmp_path / "run").step == 1
    lines = read_journal(tmp_path / "run" / "journal.jsonl")
    (skipped,) = [line["text"] for line in lines if line["event"] == "skipped"]
    assert "a.png: not a readable picture" in skipped


def test_other_files_among_the_pictures_are_left_out(settings, photos, tmp_path):
    folder = tmp_path / "in"
    shutil.copytree(photos, folder)
    (folder / "README.txt").write_text("my photographs")
    assert train(settings(steps=1, data={"train": str(folder)}), output=tmp_path / "run").step == 1


def test_weights_with_nan_are_refused(settings, tmp_path):
    train(settings(steps=2), output=tmp_path / "first")
    path = tmp_path / "first" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-4:] = b"\x00\x00\xc0\x7f"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="NaN or infinity"):
        train(settings(), output=tmp_path / "run", start=str(path))


def test_weights_of_another_scale_are_refused(settings, tmp_path):
    train(settings(steps=2), output=tmp_path / "first")
    config = settings(model={"scale": 2})
    with pytest.raises(ConfigError, match=r"model\.scale=2: the weights of --from have 4"):
        train(config, output=tmp_path / "run", start=str(tmp_path / "first"))


def test_every_error_comes_before_the_first_step(settings, tmp_path):
    with pytest.raises(DataError):
        train(settings(data={"valid": str(tmp_path)}), output=tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("scale", [2, 8])
def test_other_scales_train(settings, tmp_path, scale):
    train(settings(steps=1, model={"scale": scale}, validate_every=1), output=tmp_path / "run")
    assert load_model(tmp_path / "run" / "model.safetensors").scale == scale


def test_bf16_trains(settings, tmp_path):
    state = train(settings(steps=2, precision="bf16"), output=tmp_path / "run")
    assert json.loads(json.dumps(state.facts()))["step"] == 2
    assert next(state.generator.parameters()).dtype == torch.float32
