"""What was accepted is done, once, however often the service ends."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from fourfold import upscale_bytes
from fourfold.jobs.engines import Engines
from fourfold.server.store import ATTEMPTS, SUSPECT, Job, Store
from tests.made_services import Slow, png

pytestmark = pytest.mark.timeout(200)


def test_a_service_that_is_stopped_goes_on_where_it_was(serve, upscaler) -> None:
    first = serve(engines=Engines(Slow()), workers=1)
    jobs = [first.send_file(png(seed=i)).json()["id"] for i in range(3)]
    deadline = time.monotonic() + 30
    while first.get(f"/v1/jobs/{jobs[0]}").json()["progress"] == 0:
        assert time.monotonic() < deadline
    before = first.get(f"/v1/jobs/{jobs[0]}").json()["version"]
    first.__exit__(None, None, None)
    second = serve()
    for seed, job in enumerate(jobs):
        told = second.ended(job)
        assert (told["state"], told["version"] > before) == ("done", True)
        made = second.get(f"/v1/jobs/{job}/result").content
        assert made == upscale_bytes(png(seed=seed), upscaler=upscaler)


def test_what_a_killed_service_leaves_is_taken_up_or_removed(serve, tmp_path) -> None:
    first = serve()
    jobs = [first.send_file(png(seed=i)).json()["id"] for i in range(4)]
    results = [first.ended(job) and first.get(f"/v1/jobs/{job}/result").content for job in jobs]
    first.__exit__(None, None, None)
    data = tmp_path / "data"
    store = Store(data / "jobs.sqlite")
    # The first had its result but not yet its line, the second was under way, the third has
    # ended the service again and again, the fourth was being cancelled.
    store.update(jobs[0], state="running", attempts=1, result=None, facts={})
    (data / "jobs" / jobs[1] / "result" / "input_x4.png").unlink()
    store.update(jobs[1], state="running", attempts=1, result=None)
    store.update(jobs[2], state="running", attempts=ATTEMPTS)
    store.update(jobs[3], state="cancelled", ended=None)
    store.close()
    (data / "jobs" / ("x" * 22)).mkdir()
    second = serve()
    for job, result in zip(jobs[:2], results, strict=False):
        told = second.ended(job)
        assert (told["state"], told["width"], told["model"]) == ("done", 68, "tiny")
        assert second.get(f"/v1/jobs/{job}/result").content == result
    told = second.get(f"/v1/jobs/{jobs[2]}").json()
    assert (told["state"], "given up" in told["reason"]) == ("failed", True)
    assert second.get(f"/v1/jobs/{jobs[3]}").status_code == 404
    assert {p.name for p in (data / "jobs").iterdir()} == set(jobs[:3])


def test_what_may_have_ended_the_service_goes_behind_the_others(tmp_path) -> None:
    store = Store(tmp_path / "jobs.sqlite")
    for number in range(3):
        facts = {"owner": "", "sha256": "", "name": "a.png", "suffix": ".png", "bytes": 1}
        store.add(Job(id=str(number), film=False, options={}, created=float(number), **facts))
    store.update("0", attempts=SUSPECT)
    store.update("1", attempts=SUSPECT - 1)
    taken = [store.take(film=False) for _ in range(3)]
    assert [job and job.id for job in taken] == ["1", "2", "0"]
    store.close()


@pytest.mark.skipif(os.name == "nt", reason="needs kill -9")
def test_a_process_that_is_killed_loses_nothing(tmp_path) -> None:
    ids: list[str] = []
    for round_ in range(2):
        process, address = started(tmp_path)
        try:
            for seed in range(3):
                ids.append(post(address, png(40, 50, seed=seed))["id"])
            if round_ == 0:
                process.kill()
            else:
                states = [ended(address, id_)["state"] for id_ in ids]
                results = [get(f"{address}v1/jobs/{id_}/result") for id_ in ids]
                process.send_signal(signal.SIGTERM)
                process.wait(timeout=60)
        finally:
            process.kill()
            process.communicate(timeout=60)
    assert states == ["done"] * 6
    assert results[:3] == results[3:] == [upscale_bytes(png(40, 50, seed=i)) for i in range(3)]
    lines = (tmp_path / "log").read_text().splitlines()
    assert all({"time", "level", "message"} <= set(json.loads(line)) for line in lines)


def started(folder: Path) -> tuple[subprocess.Popen[str], str]:
    """A service on a free port."""
    command = [
        sys.executable,
        "-m",
        "fourfold",
        "serve",
        "--port",
        "0",
        "--data-dir",
        folder / "data",
    ]
    with (folder / "log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address), (folder / "log").read_text()
    return process, address


def post(address: str, content: bytes) -> dict:
    body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    body += content + b"\r\n--b--\r\n"
    headers = {"X-Fourfold": "1", "Content-Type": "multipart/form-data; boundary=b"}
    return json.loads(get(Request(f"{address}v1/jobs", data=body, headers=headers)))


def get(address: str | Request) -> bytes:
    with urlopen(address, timeout=60) as answer:
        return answer.read()


def ended(address: str, id_: str, *, seconds: float = 100) -> dict:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        told = json.loads(get(f"{address}v1/jobs/{id_}"))
        if told["state"] not in ("queued", "running"):
            return told
        time.sleep(0.1)
    raise AssertionError(told)


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(os.name == "nt", reason="needs kill -9")
def test_ten_kills_while_thirty_jobs_run_change_no_result(tmp_path) -> None:
    pictures = [png(64 + 8 * (i % 5), 96, seed=i) for i in range(30)]
    straight = [upscale_bytes(content) for content in pictures]
    ids: list[str] = []
    for kill in range(11):
        process, address = started(tmp_path)
        try:
            for content in pictures[len(ids) :][: 6 if kill < 5 else 0]:
                ids.append(post(address, content)["id"])
            if kill < 10:
                time.sleep(0.1 + 0.13 * kill)  # reading, in the network, writing: wherever it is
                continue
            told = [ended(address, id_, seconds=600) for id_ in ids]
            assert {job["state"] for job in told} == {"done"}
            results = [get(f"{address}v1/jobs/{id_}/result") for id_ in ids]
            listed = json.loads(get(f"{address}v1/jobs"))["jobs"]
        finally:
            process.kill()
            process.communicate(timeout=60)
    assert len(listed) == len(set(ids)) == 30
    for i, (made, wanted) in enumerate(zip(results, straight, strict=True)):
        assert made == wanted, i
    left = [path for path in (tmp_path / "data" / "jobs").rglob("*") if path.is_file()]
    assert len(left) == 60, left  # inputs and results
