"""Ctrl-C and SIGTERM, early and in the middle of the work."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fourfold.__main__ import main
from fourfold.pictures.images import write_pixels

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")


_HEED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_work_that_is_stopped_says_so_and_leaves_nothing(tmp_path: Path, number: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (900, 900, 3), np.uint8)
    write_pixels(noise, tmp_path / "in" / "large.png")
    command = [sys.executable, "-m", "fourfold", "upscale", str(tmp_path / "in"), "-o"]
    command += [str(tmp_path / "out"), "-n", "srgan-x4"]  # named: what auto chose is a line too
    # Started in the background, tests would hand on that Ctrl-C is ignored.
    wrapped = ["python", "-c", _HEED, *command]
    with subprocess.Popen(
        wrapped, executable=sys.executable, stderr=subprocess.PIPE, text=True
    ) as process:
        deadline = time.monotonic() + 150
        while not list(tmp_path.glob("out/.*")) and time.monotonic() < deadline:
            time.sleep(0.02)  # the scratch file shows that the network is at work
        process.send_signal(number)
        _, error = process.communicate(timeout=100)
    assert process.returncode == 130
    assert "the same command continues" in error
    assert error.count("\n") == 1, error
    assert list(tmp_path.glob("out/*")) == []
    assert list(tmp_path.glob("out/.*")) == []


class _Interrupting:
    """An import hook that is Ctrl-C pressed while the command line is being loaded."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "fourfold.cli.main":
            raise KeyboardInterrupt


def test_ctrl_c_while_loading_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "fourfold.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [_Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 130
