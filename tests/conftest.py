"""Shared fixtures: small pictures drawn in code, and the benchmark folder where there is one."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).parents[1]

# A busy machine is no fault of what is tested, and a checkout may be read-only.
settings.register_profile(
    "calm",
    deadline=None,
    database=None,
    derandomize="CI" in os.environ,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("calm")

CGROUP_CPUS = Path("/sys/fs/cgroup/cpu.max")


def pytest_xdist_auto_num_workers() -> int:
    """As many as this process may use, which in a container is less than the machine has.

    Eight at most, since each takes a gigabyte for torch and the runtimes.
    """
    allowed = getattr(os, "sched_getaffinity", None)
    cores = len(allowed(0)) if allowed else os.cpu_count() or 1
    if CGROUP_CPUS.is_file():
        quota, period = CGROUP_CPUS.read_text().split()
        cores = cores if quota == "max" else min(cores, round(int(quota) / int(period)))
    return max(1, min(cores, 8))


@pytest.fixture(autouse=True)
def nothing_left_running(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kill the processes that a failed test leaves; they would keep what waits for their output."""
    started: list[subprocess.Popen] = []

    class Popen(subprocess.Popen):
        def __init__(self, *args, **options) -> None:
            super().__init__(*args, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)
    yield
    for process in started:
        if process.poll() is None:
            process.kill()
            process.wait(timeout=60)


@pytest.fixture(scope="session")
def bench() -> Path:
    """Folder with Set5 and Set14 (`FOURFOLD_BENCH`), never part of the repository."""
    path = Path(os.environ.get("FOURFOLD_BENCH", REPOSITORY / ".." / "shared" / "data" / "bench"))
    if not (path / "Set5" / "HR").is_dir():
        pytest.skip(f"no benchmark pictures at {path}; set FOURFOLD_BENCH to a folder with Set5/HR")
    return path.resolve()


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20170)


@pytest.fixture(scope="session")
def draw() -> Callable[..., npt.NDArray[np.uint8]]:
    """Draws a small RGB picture: waves, a disc and a little noise; `draw(height, width, seed)`."""

    def drawn(height: int = 48, width: int = 64, seed: int = 0) -> npt.NDArray[np.uint8]:
        rng = np.random.default_rng(seed)
        y, x = np.mgrid[:height, :width].astype(np.float64)
        planes = []
        for _ in range(3):
            angle, period, phase = rng.uniform(0, 3, 3)
            wave = np.sin((x * np.cos(angle) + y * np.sin(angle)) / (2 + 3 * period) + phase)
            disc = np.hypot(y - height / 2, x - width / 2) < min(height, width) / 4
            planes.append(128 + 70 * wave + 50 * disc)
        noisy = np.stack(planes, axis=2) + rng.normal(0, 3, (height, width, 3))
        return np.clip(noisy, 0, 255).astype(np.uint8)

    return drawn


@pytest.fixture
def flaky_server():
    """Start local web servers that are closed at the end of the test."""
    spec = importlib.util.spec_from_file_location("servers", Path(__file__).with_name("servers.py"))
    servers = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(servers)
    started = []

    def start(files, **options):
        started.append(servers.FlakyServer(files, **options))
        return started[-1]

    yield start
    for server in started:
        server.close()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """A stand-in for S3 on this machine; its endpoint."""
    pytest.importorskip("s3fs", reason="s3fs, of the extra `remote`, is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    running = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    yield "http://{}:{}".format(*running.get_host_and_port())
    running.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Address of an empty bucket; processes that a test starts find it too."""
    import s3fs

    settings = {"ACCESS_KEY_ID": "x", "SECRET_ACCESS_KEY": "x", "DEFAULT_REGION": "us-east-1"}
    for name, value in {**settings, "ENDPOINT_URL": s3_server}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    s3fs.S3FileSystem.clear_instance_cache()
    bucket = f"b{os.urandom(6).hex()}"
    s3fs.S3FileSystem().mkdir(bucket)
    yield f"s3://{bucket}"
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Debian's or any other Chromium, driven by Playwright; it asks no other machine for anything."""
    sync_api = pytest.importorskip("playwright.sync_api")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("FOURFOLD_CHROMIUM") or next(
        filter(None, map(shutil.which, names)), None
    )
    if not found:
        pytest.skip("no chromium on this machine; set FOURFOLD_CHROMIUM to one")
    flags = [
        f"--{flag}"
        for flag in (
            *("headless", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run"),
            *("disable-dev-shm-usage", "disable-background-networking"),
            *("disable-component-update", "disable-sync"),
        )
    ]
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=flags, timeout=120_000)
        yield opened
        opened.close()
