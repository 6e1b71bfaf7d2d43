"""Many clients at once: is everything done, how much memory, how fast, does it still answer?

    python benchmarks/serve.py [--clients 50] [--each 4] [--side 64] [--model auto] [--json]

A service in a process of its own gets `--each` pictures from each client. Meanwhile `/healthz` is
asked some 40 times a second by a process that does nothing else. Before and after, the same pictures are
enlarged as one folder, by networks that are open already, as the service's are. CPU seconds are of
all processes' threads, so they compare also on a machine that has other work.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from stamp import stamp

from fourfold.jobs.engines import Engines
from fourfold.jobs.pipeline import run_all
from fourfold.jobs.request import Request
from fourfold.pictures.vips import vips

DEMO = Path(__file__).parents[1] / "demo" / "chelsea.png"
HEADERS = {"X-Fourfold": "1", "Content-Type": "multipart/form-data; boundary=b"}


def make_pictures(folder: Path, count: int, side: int) -> None:
    """Different parts of the demo photograph, which is made larger where a part has no room."""
    photo = vips().Image.new_from_file(str(DEMO))
    photo = photo.resize(max(1.0, (side + 64) / min(photo.width, photo.height)))
    rooms = photo.width - side, photo.height - side
    for i in range(count):
        part = photo.crop(i * 37 % rooms[0], i * 61 % rooms[1], side, side)
        part.pngsave(str(folder / f"p{i:04d}.png"))


def folder_run(pictures: Path, results: Path, model: str) -> dict[str, float]:
    """In a process of its own; the network is opened before the clock starts."""
    requests = [
        Request(source=path, target=results / f"{path.stem}_x4.png", model=model)
        for path in sorted(pictures.iterdir())
    ]
    upscaler = Engines().of(requests[0])
    list(run_all([Request(source=requests[0].source, target=results / "w.png")], upscaler=upscaler))
    cpu, started = time.process_time(), time.perf_counter()
    outcomes = list(run_all(requests, upscaler=upscaler))
    assert all(outcome.status == "done" for outcome in outcomes), outcomes
    return {"seconds": time.perf_counter() - started, "cpu": time.process_time() - cpu}


@contextmanager
def service(data: Path) -> Iterator[tuple[int, int]]:
    """Process id and port."""
    command = [sys.executable, "-m", "fourfold", "serve", "--port", "0", "--data-dir", str(data)]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert process.stdout is not None
        found = re.search(r":(\d+)/", process.stdout.readline())
        assert found is not None, "the service did not start"
        yield process.pid, int(found[1])
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def ask(port: int, method: str, path: str, body: bytes | None = None, **headers: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request(method, path, body, {**HEADERS, **headers})
        answer = connection.getresponse()
        content = answer.read()
        assert answer.status < 300, (path, answer.status, content[:300])
        return content
    finally:
        connection.close()


def send(port: int, path: Path, model: str) -> str:
    options = json.dumps({"model": model}).encode()
    body = b'--b\r\nContent-Disposition: form-data; name="options"\r\n\r\n' + options
    body += b'\r\n--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n'
    body += path.read_bytes() + b"\r\n--b--\r\n"
    return str(json.loads(ask(port, "POST", "/v1/jobs", body))["id"])


def wait(port: int, job: str) -> dict[str, Any]:
    while True:
        told: dict[str, Any] = json.loads(ask(port, "GET", f"/v1/jobs/{job}"))
        if told["state"] in ("done", "failed", "cancelled"):
            return told
        time.sleep(2)  # what `Retry-After` asks for


def client(port: int, paths: list[Path], results: Path, model: str) -> float:
    """Send all, wait for all, fetch all; when the last had ended."""
    jobs = [(path, send(port, path, model)) for path in paths]
    last = 0.0
    for path, job in jobs:
        told = wait(port, job)
        assert told["state"] == "done", told
        last = max(last, told["ended"])
        content = ask(port, "GET", f"/v1/jobs/{job}/result")
        assert content == (results / f"{path.stem}_x4.png").read_bytes(), path
    return last


def clients(
    port: int, pictures: Path, results: Path, count: int, model: str
) -> tuple[float, float]:
    """Seconds until the last job has ended, and of CPU; in a process of its own."""
    paths = sorted(pictures.iterdir())
    started, cpu = time.time(), time.process_time()
    with ThreadPoolExecutor(count) as pool:
        ends = pool.map(
            lambda i: client(port, paths[i::count], results, model), range(min(count, len(paths)))
        )
        return max(ends) - started, time.process_time() - cpu


def probe(port: int, ended: Any = None) -> list[float]:
    """Sorted milliseconds of each answer of `/healthz`, 100 or until an event."""
    took: list[float] = []
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    while len(took) < 100 or (ended is not None and not ended.is_set()):
        started = time.perf_counter()
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        took.append(1000 * (time.perf_counter() - started))
        time.sleep(0.02)
    return sorted(took)


def used(pid: int) -> tuple[float, float]:
    """CPU seconds of a process so far, and the largest MB it has held."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    peak = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert peak is not None
    ticks = os.sysconf("SC_CLK_TCK")
    return (int(fields[11]) + int(fields[12])) / ticks, int(peak[1]) / 1000


def measure(folder: Path, count: int, each: int, side: int, model: str) -> dict[str, float]:
    pictures, results = folder / "pictures", folder / "results"
    pictures.mkdir()
    make_pictures(pictures, count * each, side)
    spawn = get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as alone:
        before = alone.submit(folder_run, pictures, results, model).result()
    with (
        service(folder / "data") as (pid, port),
        spawn.Manager() as manager,
        ProcessPoolExecutor(2, mp_context=spawn) as pool,
    ):
        wait(port, send(port, next(pictures.iterdir()), model))
        ended = manager.Event()
        quiet = pool.submit(probe, port).result()
        cpu, _ = used(pid)
        asked = pool.submit(probe, port, ended)
        try:
            work = pool.submit(clients, port, pictures, results, count, model)
            seconds, client_cpu = work.result()
        finally:
            ended.set()  # or the other process would ask for ever
        answers = asked.result()
        end_cpu, peak = used(pid)
    again = folder / "again"
    with ProcessPoolExecutor(1, mp_context=spawn) as alone:
        after = alone.submit(folder_run, pictures, again, model).result()
    folder_seconds = (before["seconds"] + after["seconds"]) / 2
    return {
        "pictures": count * each,
        "seconds": seconds,
        "folder_seconds": folder_seconds,
        "throughput_of_folder": folder_seconds / seconds,
        "cpu_seconds": end_cpu - cpu,
        "folder_cpu_seconds": (before["cpu"] + after["cpu"]) / 2,
        "client_cpu_seconds": client_cpu,
        "healthz_ms_p50": answers[len(answers) // 2],
        "healthz_ms_p95": answers[int(len(answers) * 0.95)],
        "healthz_ms_max": answers[-1],
        "healthz_ms_p95_at_rest": quiet[int(len(quiet) * 0.95)],
        "peak_megabytes": peak,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--each", type=int, default=4)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--model", default="srgan-x4")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), options.clients, options.each, options.side, options.model)
    if options.json:
        print(json.dumps(figures))
        return
    print(f"{stamp()}, load before {os.getloadavg()[0]:.1f}")
    for name, value in figures.items():
        print(f"  {name:24} {value:10.2f}")


if __name__ == "__main__":
    main()
