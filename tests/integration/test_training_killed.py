"""`kill -9` at any moment loses nothing: every restart goes on, and the end is the straight run's."""

from __future__ import annotations

import random
import subprocess
import time
from pathlib import Path

import pytest
import torch

from fourfold.cli.main import run as run_command
from fourfold.training.checkpoint import list_checkpoints, read_checkpoint
from fourfold.training.journal import read_journal


def reached(run: Path) -> int:
    journal = run / "journal.jsonl"
    steps = [line["step"] for line in read_journal(journal)] if journal.is_file() else []
    return max(steps, default=0)


def kill_after(line: list[str], run: Path, *, step: int, environment: dict[str, str]) -> None:
    """Start the command and kill it once its journal has passed `step`."""
    process = subprocess.Popen(line, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while reached(run) < step and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait(timeout=60)


def finish(line: list[str]) -> None:
    """Run the command in this process, with one thread as the others have."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        assert run_command(line[line.index("fourfold") + 1 :]) == 0
    finally:
        torch.set_num_threads(threads)


def assert_same_end(first: Path, second: Path) -> None:
    ends = [read_checkpoint(list_checkpoints(run / "checkpoints")[-1]) for run in (first, second)]
    (ours, our_facts), (theirs, their_facts) = ends
    assert our_facts == their_facts
    assert ours.keys() == theirs.keys()
    assert [n for n in ours if not torch.equal(ours[n], theirs[n])] == []
    models = [(run / "model.safetensors").read_bytes() for run in (first, second)]
    assert models[0] == models[1]


def run_kills(command, environment, tmp_path, *, kills: int, steps: int) -> None:
    changes = [f"steps={steps}", "checkpoint_every=7", "report_every=1", f"validate_every={steps}"]
    straight, broken = tmp_path / "straight", tmp_path / "broken"
    finish(command(straight, *changes))
    rng = random.Random(20)
    for count in range(1, kills + 1):
        target = max(1, steps * count // (kills + 1) + rng.randint(-6, 6))
        line = command(broken, *changes, resume=True)
        kill_after(line, broken, step=target, environment=environment)
    finish(command(broken, *changes, resume=True))
    assert_same_end(straight, broken)


def test_a_killed_run_ends_as_a_straight_one(command, environment, tmp_path):
    run_kills(command, environment, tmp_path, kills=1, steps=60)


@pytest.mark.slow
def test_twenty_kills_end_as_a_straight_run(command, environment, tmp_path):
    run_kills(command, environment, tmp_path, kills=20, steps=400)


def test_ctrl_c_saves_and_goes_on(command, environment, tmp_path):
    run = tmp_path / "run"
    changes = ["steps=4000", "checkpoint_every=4000", "report_every=1", "validate_every=4000"]
    line = command(run, *changes)
    process = subprocess.Popen(line, env=environment, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while reached(run) < 3 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.terminate()
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "--resume goes on from here" in said
    assert len(list_checkpoints(run / "checkpoints")) == 1
