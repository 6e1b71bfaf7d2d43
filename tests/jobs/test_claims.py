"""A picture under way belongs to one process; the others take the next one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from fourfold.errors import OutputError
from fourfold.files.locks import take_lock
from fourfold.jobs.claims import Busy, Claims
from fourfold.jobs.door import upscale_file
from fourfold.jobs.records import read_record
from fourfold.pictures.images import read_pixels, write_pixels
from fourfold.weights.format import save_model
from tests.made_pictures import Nearest, enlarge, image
from tests.models import tiny_model

PIXELS = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)
WITHOUT = """
import errno, sys
try:
    import fcntl
except ImportError:
    pass
else:
    def flock(*_):
        raise OSError(errno.ENOLCK, "no locks available")
    fcntl.flock = flock if sys.argv.pop(1) == "without" else fcntl.flock
from fourfold.cli.main import run
sys.exit(run(sys.argv[1:]))
"""


def take(claims: Claims, path: Path, held: ExitStack) -> None:
    claims.take(path, owner="a", record={}, overwrite=False, held=held)


def test_one_of_many_gets_it(tmp_path: Path) -> None:
    path, won, ready = tmp_path / "out" / "a.png", [], threading.Barrier(8)

    def try_it() -> None:
        ready.wait(timeout=30)
        held = ExitStack()  # never closed
        try:
            take(Claims(), path, held)
            won.append(held)
        except Busy:
            pass

    threads = [threading.Thread(target=try_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(won) == 1
    won[0].close()
    assert list(path.parent.iterdir()) == []
    with ExitStack() as held:
        take(Claims(), path, held)


def claimed(folder: Path, name: str) -> str:
    """The name of the lock file of a result."""
    with ExitStack() as held:
        take(Claims(), folder / name, held)
        (lock,) = folder.glob(".*.lock")
        return lock.name


def test_a_claimed_picture_is_left_to_its_owner(tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / "in").mkdir(exist_ok=True)
        image(PIXELS).write_to_file(str(tmp_path / "in" / f"{i}.png"))
    out = tmp_path / "out"
    lock = take_lock(out / claimed(out, "1_x2.png"))
    assert lock is not None
    outcomes = enlarge(tmp_path / "in", out=out)
    assert [(Path(o.input).name, o.status) for o in outcomes] == [
        ("0.png", "done"),
        ("2.png", "done"),
        ("1.png", "skipped"),
    ]
    assert "another process" in outcomes[2].reason
    with pytest.raises(OutputError, match="another process is working on it"):
        upscale_file(tmp_path / "in" / "1.png", out, upscaler=Nearest())
    lock.release()
    assert [o.status for o in enlarge(tmp_path / "in", out=out)] == ["skipped", "done", "skipped"]


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    out = tmp_path / "out"
    names = [claimed(out, "0_x2.png"), claimed(out, "other.png")]
    code = (
        "import os, sys, pathlib\nfrom fourfold.files.locks import take_lock\n"
        "kept = [take_lock(pathlib.Path(name)) for name in sys.argv[1:]]\nos._exit(0)"
    )
    paths = [str(out / name) for name in names]
    subprocess.run([sys.executable, "-c", code, *paths], check=True, timeout=60)
    assert sorted(path.name for path in out.iterdir()) == sorted(names)
    (tmp_path / "in").mkdir()
    image(PIXELS).write_to_file(str(tmp_path / "in" / "0.png"))
    assert [o.status for o in enlarge(tmp_path / "in", out=out)] == ["done"]
    assert [path.name for path in out.iterdir()] == ["0_x2.png"]


@pytest.mark.timeout(280)
@pytest.mark.parametrize("locks", ["with", "without"])
@pytest.mark.parametrize("files", [24, pytest.param(200, marks=pytest.mark.slow)])
def test_two_processes_share_a_folder(tmp_path: Path, files: int, locks: str) -> None:
    rng = np.random.default_rng(0)
    for i in range(files):
        pixels = rng.integers(0, 256, (40 + i % 7, 60, 3), np.uint8)
        write_pixels(pixels, tmp_path / "in" / f"{i:03}.png")
    save_model(tiny_model(), tmp_path / "tiny.safetensors")
    out = tmp_path / "out"
    arguments = ["upscale", tmp_path / "in", "-o", out, "-n", tmp_path / "tiny.safetensors"]
    command = [sys.executable, "-c", WITHOUT, locks, *map(str, arguments), "--json"]
    # Both start at once, so that neither finds the other's work done.
    processes = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=250) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], said
    done = [
        outcome["input"]
        for text, _ in said
        for outcome in map(json.loads, text.splitlines())
        if outcome["status"] == "done"
    ]
    assert len(done) == files, "a picture was made twice or not at all"
    assert len(set(done)) == files
    made = sorted(out.iterdir())
    assert [path.name for path in made] == [f"{i:03}_x4.png" for i in range(files)]
    for path in made:
        assert read_pixels(path).shape[1] == 240
        assert read_record(path)["model"] == "tiny"


@pytest.mark.skipif(sys.platform == "win32", reason="no pipes in folders")
@pytest.mark.timeout(20)
@pytest.mark.parametrize("overwrite", [False, True])
def test_places_where_no_file_can_stand_are_told_and_not_waited_for(
    tmp_path: Path, overwrite: bool
) -> None:
    image(PIXELS).write_to_file(str(tmp_path / "a.png"))
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "text").write_text("no folder")
    for target, says in (
        ("pipe.png", "pipe.png: is a pipe or device; choose another target"),
        ("text", "text is no folder; choose another target: a folder, or a name such as a_x2.png"),
        ("text/b.png", "text is no folder"),
    ):
        with pytest.raises(OutputError, match=says):
            upscale_file(
                tmp_path / "a.png", tmp_path / target, overwrite=overwrite, upscaler=Nearest()
            )
    outcomes = enlarge(tmp_path, out=tmp_path / "out")
    assert [outcome.status for outcome in outcomes] == ["done", "failed"]
