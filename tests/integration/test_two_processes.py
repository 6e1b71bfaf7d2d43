"""Two processes (gloo) do what one does with the joined batch, and resume."""

from __future__ import annotations

import runpy
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from fourfold.training.checkpoint import list_checkpoints, read_checkpoint

WORKER = Path(__file__).with_name("two_processes.py")


def start(line: list[str], environment: dict[str, str], *, processes: int) -> None:
    """Run `line` in several processes as torchrun would, and wait for all."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    workers = []
    for rank in range(processes):
        own = {
            "RANK": str(rank),
            "LOCAL_RANK": str(rank),
            "WORLD_SIZE": str(processes),
            "LOCAL_WORLD_SIZE": str(processes),
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(port),
            # Else gloo looks up the name of the machine, which a container may not have.
            **({"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}),
        }
        if processes == 1:
            own = {}
        workers.append(
            subprocess.Popen(
                line, env={**environment, **own}, stderr=subprocess.PIPE, stdout=subprocess.PIPE
            )
        )
    for worker in workers:
        _, said = worker.communicate(timeout=180)
        assert worker.returncode == 0, said.decode()


def test_gradients_equal_those_of_the_joined_batch(photos, environment, tmp_path):
    outs = [tmp_path / "one.safetensors", tmp_path / "two.safetensors"]
    worker = runpy.run_path(str(WORKER))
    worker["main"](str(photos), str(tmp_path / "cache"), str(outs[0]))
    line = [sys.executable, str(WORKER), str(photos), str(tmp_path / "cache"), str(outs[1])]
    start(line, environment, processes=2)
    one, two = (load_file(out) for out in outs)
    assert (one.pop("processes"), two.pop("processes")) == (1, 2)
    assert one.keys() == two.keys()
    for name, gradient in one.items():
        assert torch.allclose(
            gradient, two[name], rtol=1e-5, atol=1e-5 * gradient.abs().max().item()
        ), name


@pytest.mark.slow
def test_resume_with_two_processes(command, environment, tmp_path):
    changes = ["checkpoint_every=2", "report_every=1", "validate_every=6", "model.norm=none"]
    straight, split = tmp_path / "straight", tmp_path / "split"
    start(command(straight, *changes, "steps=6"), environment, processes=2)
    start(command(split, *changes, "steps=4"), environment, processes=2)
    start(command(split, *changes, "steps=6", resume=True), environment, processes=2)
    ours, theirs = (
        read_checkpoint(list_checkpoints(run / "checkpoints")[-1])[0] for run in (straight, split)
    )
    assert [n for n in ours if not torch.equal(ours[n], theirs[n])] == []
