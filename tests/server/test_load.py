"""Fifty clients at once: everything is done, equal to the folder run, and memory stays bounded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads memory from /proc")
def test_fifty_clients_get_what_a_folder_run_gives() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "serve.py"), "--side", "24", "--json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    run = subprocess.run(
        command, capture_output=True, text=True, timeout=1700, check=False, env=environment
    )
    assert run.returncode == 0, run.stderr  # it compares every result itself
    figures = json.loads(run.stdout)
    assert figures["pictures"] == 200
    assert figures["peak_megabytes"] < 1000  # one job's --max-memory; these are small
