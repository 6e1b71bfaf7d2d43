"""A folder of pictures, some broken, killed hard three times: complete at the end, nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fourfold.pictures.images import read_pixels, write_pixels
from fourfold.weights.format import save_model
from tests.models import tiny_model

BROKEN = 5


def fill(folder: Path, files: int) -> None:
    rng = np.random.default_rng(0)
    for i in range(files):
        pixels = rng.integers(0, 256, (40 + i % 7, 30 + i % 5, 3), np.uint8)
        path = folder / f"{'abc'[i % 3]}" / f"{i:03}.{'jpg' if i % 2 else 'png'}"
        write_pixels(pixels, path)
        if i % (files // BROKEN) == 1:
            path.write_bytes(path.read_bytes()[:200])


def stamps(folder: Path) -> dict[str, int]:
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*_x4.*")
        if not path.name.startswith(".")
    }


@pytest.mark.parametrize("files", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_killed_three_times_and_restarted(tmp_path: Path, files: int) -> None:
    fill(tmp_path / "in", files)
    save_model(tiny_model(), tmp_path / "tiny.safetensors")
    out = tmp_path / "out"
    command = [sys.executable, "-m", "fourfold", "upscale", str(tmp_path / "in"), "-r"]
    # So little memory that even these pixels go through scratch files.
    command += ["-o", str(out), "-n", str(tmp_path / "tiny.safetensors"), "--max-memory", "10KB"]
    seen: dict[str, int] = {}
    for round_ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + 90
        while len(stamps(out)) < (round_ + 1) * files // 5 and time.monotonic() < until:
            time.sleep(0.002)
        process.kill()
        process.wait(timeout=60)
        now = stamps(out)
        assert len(now) > len(seen), "the run was killed before it did anything"
        assert seen.items() <= now.items(), "a finished result was made again"
        for name in now:
            read_pixels(out / name)
        seen = now
    assert len(seen) < files - BROKEN, "the run ended before the kill"
    last = subprocess.run(
        [*command, "--json"], capture_output=True, text=True, check=False, timeout=240
    )
    assert last.returncode == 1, last.stderr
    outcomes = [json.loads(line) for line in last.stdout.splitlines()]
    assert len(outcomes) == files
    assert sum(o["status"] == "skipped" for o in outcomes) == len(seen)
    failed = [o["input"] for o in outcomes if o["status"] == "failed"]
    assert len(failed) == BROKEN
    assert all(name in last.stderr for name in failed)
    assert seen.items() <= stamps(out).items()
    everything = [path for path in out.rglob("*") if path.is_file()]
    assert len(everything) == files - BROKEN, "scratch files were left"
    for path in everything:
        read_pixels(path)
