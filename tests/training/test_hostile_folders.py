"""Run folders that somebody else filled: bounded memory, one line, and the run's own files kept."""

from __future__ import annotations

import json
import resource
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from fourfold.errors import ModelError, OutputError, UsageError
from fourfold.training import loop, monitor
from fourfold.training.checkpoint import (
    CHECKPOINT_VERSION,
    list_checkpoints,
    restore_newest,
    save_checkpoint,
)
from fourfold.training.journal import read_journal
from fourfold.training.loop import train
from fourfold.training.run_folder import RunFolder


def _header(**facts) -> bytes:
    text = json.dumps(facts).encode()
    return struct.pack("<Q", len(text)) + text


def _link(path: Path) -> None:
    path.symlink_to("/dev/zero")


def _absurd_length(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 2**62) + b"{}")


def _long_header(path: Path) -> None:
    path.write_bytes(struct.pack("<Q", 90 << 20) + b"{")
    with path.open("r+b") as file:
        file.truncate(91 << 20)


def _huge_tensor(path: Path) -> None:
    """12 GB of zeros that take no room on the disk."""
    count = 3 << 30
    content = _header(a={"dtype": "F32", "shape": [count], "data_offsets": [0, 4 * count]})
    path.write_bytes(content)
    with path.open("r+b") as file:
        file.truncate(len(content) + 4 * count)


def _no_state(path: Path) -> None:
    save_file({}, path, {"fourfold-checkpoint": CHECKPOINT_VERSION, "crc32": "0"})


def _odd_state(path: Path) -> None:
    metadata = {"fourfold-checkpoint": CHECKPOINT_VERSION, "crc32": "0", "state": "[]"}
    save_file({}, path, metadata)


ODD = [_link, _absurd_length, _long_header, _huge_tensor, _no_state, _odd_state]


def test_an_odd_newest_checkpoint_is_passed_over(settings, tmp_path):
    state = train(settings(steps=4, keep_checkpoints=1), output=tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    odd = folder / "step_00000999.safetensors"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for make in ODD:
        make(odd)
        (note,) = restore_newest(folder, state)
        assert note.startswith(str(odd)), make
        assert "\n" not in note
        assert state.step == 4
        odd.unlink()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 300_000  # in kB

    odd.mkdir()
    train(settings(steps=5, keep_checkpoints=1), output=tmp_path / "run", resume=True)
    lines = read_journal(tmp_path / "run" / "journal.jsonl")
    assert [line["event"] for line in lines].count("damaged") == 1
    # The one just written is not taken for the oldest and removed.
    assert [path.name for path in list_checkpoints(folder)] == [
        "step_00000005.safetensors",
        odd.name,
    ]


def test_names_that_are_no_checkpoints_are_none(settings, tmp_path):
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "step_last.safetensors").write_text("x")
    assert train(settings(steps=1), output=tmp_path / "run").step == 1


@pytest.mark.parametrize("make", [_absurd_length, _long_header, _huge_tensor])
def test_an_odd_model_file_is_refused(tmp_path, make):
    from fourfold.weights.format import load_model

    make(tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"claims|want at most") as caught:
        load_model(tmp_path / "model.safetensors")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("odd", ['{"num_blocks": 1000000000, "width": 8}', "[]", "[" * 100_000])
def test_odd_settings_of_a_network_are_refused(tmp_path, odd):
    from fourfold.weights.format import load_model

    metadata = {"fourfold": "1", "architecture": "srresnet", "scale": "4", "hyperparameters": odd}
    save_file({"a": torch.zeros(1)}, tmp_path / "model.safetensors", metadata)
    with pytest.raises(ModelError, match="incomplete model description"):
        load_model(tmp_path / "model.safetensors")


def test_two_trainings_in_one_folder_are_refused(settings, tmp_path, monkeypatch):
    refused = []

    def step_and_try_again(run, batch):
        monkeypatch.setattr(loop, "_one_step", real)
        for resume in (False, True):
            with pytest.raises(UsageError, match="another training is at work in it") as caught:
                train(settings(steps=1), output=tmp_path / "run", resume=resume)
            refused.append(str(caught.value))
        return real(run, batch)

    real = loop._one_step
    monkeypatch.setattr(loop, "_one_step", step_and_try_again)
    assert train(settings(steps=2), output=tmp_path / "run").step == 2
    assert len(refused) == 2
    assert not [p for p in (tmp_path / "run").iterdir() if p.name.startswith(".")]
    assert train(settings(steps=3), output=tmp_path / "run", resume=True).step == 3


def test_a_killed_training_does_not_lock_its_folder(settings, tmp_path):
    code = (
        "import os, sys; from pathlib import Path;"
        "from fourfold.training.run_folder import RunFolder;"
        "held = RunFolder(Path(sys.argv[1])).held(new=True); held.__enter__(); os._exit(9)"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "run")], check=False, timeout=60)
    assert train(settings(steps=1), output=tmp_path / "run").step == 1


def test_a_run_that_began_meanwhile_is_not_overwritten(settings, tmp_path):
    train(settings(steps=2), output=tmp_path / "run")
    held = RunFolder(tmp_path / "run").held(new=True)
    with pytest.raises(UsageError, match="holds a run at step 2"), held:
        pass


@pytest.fixture
def full_disk():
    """No file may grow beyond 20 kB, as on a disk that is nearly full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_disk_that_fills_within_a_checkpoint_leaves_the_old_one(settings, tmp_path, full_disk):
    state = train(settings(steps=2), output=tmp_path / "run")
    folder = tmp_path / "run" / "checkpoints"
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    state.step = 3
    full_disk()
    with pytest.raises(OutputError, match="cannot write"):
        save_checkpoint(folder, state, keep=1)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_disk_that_fills_does_not_end_a_run(settings, tmp_path, monkeypatch, caplog):
    def full(*_, **__):
        raise OutputError("samples/3.png: cannot write (No space left on device)")

    class Board:
        def __init__(self, *_, **__):
            pass

        def add_scalar(self, *_, **__):
            raise OSError(28, "No space left on device")

        add_image = close = add_scalar

    monkeypatch.setattr(monitor, "write_pixels", full)
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", Board)
    assert train(settings(), output=tmp_path / "run").step == 6
    texts = [line.get("text", "") for line in read_journal(tmp_path / "run" / "journal.jsonl")]
    assert any("samples/3.png: cannot write" in text for text in texts)
    assert caplog.text.count("no more curves there") == 1
