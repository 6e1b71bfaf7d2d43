"""`.ci/run` ends in time, names what is flaky and fails for what is broken; make is played."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / ".ci" / "run"
MAKE = """#!/usr/bin/env bash
for word in "$@"; do [[ $word == PYTEST_ARGS=* ]] && cache=${word#*cache_dir=}; done
case $1:$PLAY in
  check:unclean) exit 2 ;;
  test:hangs) sleep 100 & sleep 100 ;;
  test:breaks) exit 2 ;;
  test:flaky | test:fails)
    mkdir -p "$cache/v/cache" && echo '{"test_a.py::test_b": true}' >"$cache/v/cache/lastfailed"
    exit 2 ;;
  again:fails) exit 2 ;;
  again:flaky) echo '{}' >"$cache/v/cache/lastfailed" ;;
esac
"""

pytestmark = pytest.mark.skipif(
    shutil.which("timeout") is None or not SCRIPT.is_file(), reason="needs bash and coreutils"
)


@pytest.mark.parametrize(
    ("play", "code", "says"),
    [
        ("passes", 0, ""),
        ("unclean", 2, ""),
        ("hangs", 124, "make test was stopped"),
        ("breaks", 2, "before any test did"),
        (
            "flaky",
            0,
            'FLAKY, failed among the others and passed alone:\n{"test_a.py::test_b": true}',
        ),
        ("fails", 2, "once more, alone"),
    ],
)
def test_ends_as_it_should(tmp_path: Path, play: str, code: int, says: str) -> None:
    for name, text in {"make": MAKE, "chromium": "", "ffmpeg": ""}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    environment = {
        **os.environ,
        "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}",
        "PLAY": play,
        "CI_LIMIT": "302" if play == "hangs" else "600",
    }
    done = subprocess.run(
        ["bash", str(SCRIPT)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == code, done.stdout
    assert says in done.stdout
    assert ("FLAKY" in done.stdout) == (play == "flaky")
