"""Date, machine and commit, which every result file carries."""

from __future__ import annotations

import datetime
import os
import subprocess

from fourfold.runtimes.openvino import cpu_name, cpu_precisions


def stamp() -> str:
    """One line to head a result with."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False
    ).stdout.strip()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    cpu = f"{cpu_name()}, {os.cpu_count()} cores ({', '.join(cpu_precisions())})"
    return f"{today} · {cpu} · commit {commit or 'unknown'}"
