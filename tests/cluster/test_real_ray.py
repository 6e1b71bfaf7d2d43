"""Ray itself, on this machine: equal results, kills of workers and of the driver, a film."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold.files.addresses import Store, open_store
from fourfold.jobs.inputs import find_requests
from fourfold.jobs.pipeline import run_all
from tests.made_films import make_film

pytest.importorskip("ray", reason="Ray, of the extra `cluster`, is not installed")
pytestmark = [
    pytest.mark.slow,  # a cluster of processes, started and stopped
    pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals"),
    pytest.mark.timeout(1500),
]

# Started in the background, tests would hand on that Ctrl-C is ignored.
_HEED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.SIG_DFL)
os.execv(sys.argv[1], sys.argv[1:])
"""

Start = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def mark() -> str:
    """What all processes of a test have in their environment."""
    return f"test-{os.getpid()}-{time.time_ns()}"


@pytest.fixture
def start(model: Path, tmp_path: Path, mark: str) -> Iterator[Start]:
    """Starts `fourfold upscale --engine ray`; everything it has started ends with the test."""
    started: list[subprocess.Popen[bytes]] = []

    def begin(*arguments: str | Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", _HEED, sys.executable, "-m", "fourfold", "upscale"]
        command += map(str, arguments)
        command += ["-r", "-n", str(model), "--precision", "fp32", "--engine", "ray"]
        environment = {**os.environ, "FOURFOLD_TEST": mark, "RAY_USAGE_STATS_ENABLED": "0"}
        out, err = (tmp_path / f"{name}{len(started)}" for name in ("out", "err"))
        with out.open("w") as stdout, err.open("w") as stderr:
            process = subprocess.Popen(
                command, stdout=stdout, stderr=stderr, env=environment,
                stdin=subprocess.DEVNULL, start_new_session=True,
            )  # fmt: skip
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=30)
    for pid in marked(mark):
        kill(pid)


def marked(mark: str) -> list[int]:
    """Processes with `mark` in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return [pid for pid in found if pid != os.getpid()]


def kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def ended(process: subprocess.Popen[bytes], tmp_path: Path, number: int, *, within: int) -> Any:
    code = process.wait(timeout=within)
    return code, *((tmp_path / f"{name}{number}").read_text() for name in ("out", "err"))


def results(store: Store) -> dict[str, bytes]:
    keys = [entry.key for page in store.pages() for entry in page]
    return {key: store.read(key) for key in keys if not key.startswith("_")}


def lines(store: Store) -> list[dict[str, Any]]:
    keys = [entry.key for page in store.pages("_fourfold") for entry in page]
    texts = [store.read(key).decode() for key in keys if "/part-" in key]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def straight(source: Path, out: Path, model: Path) -> dict[str, bytes]:
    options = {"model": str(model), "precision": "fp32"}
    requests, _ = find_requests([str(source)], out, recursive=True, **options)
    list(run_all(requests))
    return results(open_store(str(out)))


def test_a_small_folder_equals_that_of_one_machine(
    start: Start, album: Any, tmp_path: Path, model: Path
) -> None:
    source = album("a.png", "x/b.png")
    (source / "bad.png").write_bytes(b"nonsense")
    process = start(source, "-o", tmp_path / "out", "--workers", "1")
    code, _, error = ended(process, tmp_path, 0, within=250)
    assert code == 1, error
    assert "1 of 3 failed" in error
    assert f"{tmp_path / 'out'}/_fourfold/failed.jsonl" in error
    made = results(open_store(str(tmp_path / "out")))
    assert made == straight(source, tmp_path / "straight", model)


def test_ctrl_c_leaves_what_the_same_command_continues(
    start: Start, album: Any, tmp_path: Path, model: Path
) -> None:
    source = album(*(f"{number:03d}.png" for number in range(60)))
    store = open_store(str(tmp_path / "out"))
    process = start(source, "-o", tmp_path / "out", "--workers", "1:2")
    wait_for(lambda: len(results(store)) >= 5, process)
    process.send_signal(signal.SIGINT)
    code, _, error = ended(process, tmp_path, 0, within=100)
    assert code == 130, error
    assert "the same command continues" in error
    process = start(source, "-o", tmp_path / "out", "--workers", "1:2")
    code, _, error = ended(process, tmp_path, 1, within=250)
    assert code == 0, error
    assert results(store) == straight(source, tmp_path / "straight", model)


def wait_for(
    met: Callable[[], bool], process: subprocess.Popen[bytes], *, within: int = 250
) -> None:
    deadline = time.monotonic() + within
    while not met():
        assert process.poll() is None, "it has ended before"
        assert time.monotonic() < deadline
        time.sleep(0.2)


def actors(mark: str) -> list[int]:
    """Processes of actors; they have another name and no environment, but a parent that has."""
    parents, found = set(marked(mark)), []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if (path / "cmdline").read_bytes().startswith(b"ray::Actor"):
                status = (path / "status").read_text()
                if int(re.findall(r"PPid:\s+(\d+)", status)[0]) in parents:
                    found.append(int(path.name))
        except OSError:
            continue
    return found


def test_a_bucket_survives_kills_of_workers_and_of_the_driver(
    start: Start, album: Any, tmp_path: Path, model: Path, s3: str, mark: str
) -> None:
    import s3fs

    source = album(*(f"{number:03d}.png" for number in range(295)))
    for number in range(5):
        (source / f"{number:03d}bad.png").write_bytes(b"\x89PNG nonsense")
    s3fs.S3FileSystem().put(str(source), f"{s3}/in", recursive=True)
    store = open_store(f"{s3}/out")
    command = (f"{s3}/in", "-o", f"{s3}/out", "--workers", "1:3", "--retries", "2")
    process = start(*command)
    for count in (20, 50, 80, 110):
        wait_for(lambda count=count: len(results_named(store)) >= count, process)  # type: ignore[misc]
        kill(actors(mark)[0])
    wait_for(lambda: len(results_named(store)) >= 150, process)
    process.kill()
    process.wait(timeout=60)
    deadline = time.monotonic() + 60
    while actors(mark) and time.monotonic() < deadline:
        time.sleep(0.5)
    assert actors(mark) == [], "workers end with their driver"
    there, killed = results_named(store), time.time()

    process = start(*command)
    code, _, error = ended(process, tmp_path, 1, within=600)
    assert code == 1, error
    assert len(set(re.findall(r"\d{3}bad\.png", error))) == 5
    assert results(store) == straight(source, tmp_path / "straight", model)
    again = [line for line in lines(store) if line["time"] > killed and line["model"]]
    assert {line["output"] for line in again if line["outcome"] == "done"} & there == set()
    failed = store.read("_fourfold/failed.jsonl").splitlines()
    assert sorted(json.loads(line)["key"] for line in failed) == sorted(
        path.name for path in source.glob("*bad.png")
    )


def test_a_film_over_three_workers_is_that_of_one(
    start: Start, tmp_path: Path, model: Path
) -> None:
    pytest.importorskip("av")
    (tmp_path / "in").mkdir()
    still = [np.full((16, 24, 3), shade % 256, np.uint8) for shade in range(700)]
    film = make_film(
        tmp_path / "in" / "film.mp4", size=(24, 16), stamps=range(700), pictures=still, sound=None
    )
    process = start(film.parent, "-o", tmp_path / "out", "--workers", "1:3")
    code, _, error = ended(process, tmp_path, 0, within=600)
    assert code == 0, error
    made = results(open_store(str(tmp_path / "out")))
    assert made == straight(film.parent, tmp_path / "straight", model)
    (line,) = lines(open_store(str(tmp_path / "out")))
    assert line["output"] == "film_x2.mp4"


def results_named(store: Store) -> set[str]:
    return {e.key for page in store.pages() for e in page if not e.key.startswith("_")}
