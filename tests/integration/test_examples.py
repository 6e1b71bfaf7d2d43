"""The script for learners runs from its first cell to its last, and makes a model that works."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
def test_srgan_from_scratch(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    environment = {
        **os.environ,
        "STEPS": "10",
        "OUT": str(tmp_path / "out"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT / "src"),
    }
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "srgan_from_scratch.py")],
        cwd=tmp_path, env=environment, check=False, timeout=280, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("D(hr)") == 5
    assert done.stdout.endswith("(240, 360, 3)\n")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "samples.webp",
        "from-scratch.safetensors",
    }
