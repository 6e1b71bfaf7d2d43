"""Nothing is sent anywhere: no telemetry, no name looked up, no trace left in the home folder.

Nor does anything keep a command from ending: no fork of a process with threads, no thread to wait
for. A `sitecustomize` module writes down what Python asks of the network, in the command and in every
process it starts; strace, where it can be used, sees what compiled code asks as well.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from fourfold.pictures.images import write_pixels
from fourfold.weights.format import save_model
from tests.models import tiny_model

ROOT = Path(__file__).parents[2]

RECORDER = """
import os, sys

WATCHED = {
    "socket.connect", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo",
    "socket.gethostbyname", "socket.gethostbyaddr", "urllib.Request", "os.fork",
}

def record(event, arguments):
    if event in WATCHED and not (len(arguments) == 2 and isinstance(arguments[1], (str, bytes))):
        with open(os.environ["ATTEMPTS"], "a") as file:
            print(event, arguments, file=file)

sys.addaudithook(record)
"""

API = """
import fourfold, sys, threading
fourfold.upscale_file(sys.argv[1], sys.argv[2])
others = [t for t in threading.enumerate() if t is not threading.main_thread()]
sys.exit(f"the end waits for {others}" if any(not t.daemon for t in others) else 0)
"""
SPAWNED = """
import multiprocessing, sys
from fourfold.runtimes.openvino import cpu_name

if __name__ == "__main__":
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        pool.apply(cpu_name)
"""


@pytest.fixture
def watched(tmp_path: Path) -> dict[str, str]:
    """An environment whose Python processes write down every use of the network."""
    (tmp_path / "hook").mkdir()
    (tmp_path / "home").mkdir()
    (tmp_path / "hook" / "sitecustomize.py").write_text(RECORDER)
    free = {k: v for k, v in os.environ.items() if k not in ("CI", "ORT_DISABLE_TELEMETRY")}
    for name in [name for name in free if name.startswith(("XDG_", "COV_"))]:
        del free[name]
    return {
        **free,
        "HOME": str(tmp_path / "home"),
        "FOURFOLD_CACHE_DIR": str(tmp_path / "cache"),
        "ATTEMPTS": str(tmp_path / "attempts"),
        "PYTHONPATH": f"{tmp_path / 'hook'}{os.pathsep}{ROOT / 'src'}",
    }


@pytest.fixture
def picture(tmp_path: Path, draw) -> Path:
    write_pixels(draw(16, 16), tmp_path / "a.png")
    return tmp_path / "a.png"


def attempts(environment: dict[str, str]) -> str:
    record = Path(environment["ATTEMPTS"])
    return record.read_text() if record.exists() else ""


def run(environment: dict[str, str], *arguments: str, code: int = 0) -> None:
    """Run Python; then no attempt is recorded and the home folder is as empty as before."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert attempts(environment) == ""
    assert list(Path(environment["HOME"]).rglob("*")) == []


def test_the_recorder_sees_a_look_up(watched: dict[str, str]) -> None:
    code = "import socket\ntry: socket.getaddrinfo('localhost', 80)\nexcept OSError: pass"
    subprocess.run([sys.executable, "-c", code], env=watched, check=True, timeout=60)
    assert "socket.getaddrinfo" in attempts(watched)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime", "torch"])
def test_the_command_is_silent(watched: dict[str, str], picture: Path, backend: str) -> None:
    pytest.importorskip(backend)
    save_model(tiny_model(), picture.with_name("m.safetensors"))
    options = ["-n", str(picture.with_name("m.safetensors")), "--backend", backend]
    target = str(picture.with_name("b.png"))
    run(watched, "-m", "fourfold", "upscale", str(picture), "-o", target, *options)


def test_an_empty_input_and_the_doctor_are_silent(watched: dict[str, str]) -> None:
    run(watched, "-m", "fourfold", "upscale", "-", code=1)
    run(watched, "-m", "fourfold", "doctor")


def test_the_python_names_and_processes_of_them_are_silent(
    watched: dict[str, str], picture: Path, tmp_path: Path
) -> None:
    run(watched, "-c", API, str(picture), str(tmp_path / "b.png"))
    (tmp_path / "spawned.py").write_text(SPAWNED)
    run(watched, str(tmp_path / "spawned.py"))


@pytest.mark.slow
def test_training_scoring_and_export_are_silent(
    watched: dict[str, str], command, photos: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    line = command(tmp_path / "run", "steps=2")[1:]
    run(watched, *line)
    run(
        watched, "-m", "fourfold", "models", "export", "srresnet-x4", "-o", str(tmp_path / "m.onnx")
    )
    run(watched, "-m", "fourfold", "bench", "--size", "16", "--rounds", "1")


@pytest.mark.slow
def test_the_installed_wheel_is_silent(
    watched: dict[str, str], picture: Path, tmp_path: Path
) -> None:
    pytest.importorskip("hatchling")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(tmp_path / "installed")
    watched["PYTHONPATH"] = f"{tmp_path / 'hook'}{os.pathsep}{tmp_path / 'installed'}"
    code = "import fourfold, sys; sys.exit(0 if 'installed' in fourfold.__file__ else 3)"
    run(watched, "-c", code)
    run(watched, "-c", API, str(picture), str(tmp_path / "b.png"))


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_compiled_code_is_silent_too(
    watched: dict[str, str], picture: Path, tmp_path: Path, backend: str
) -> None:
    pytest.importorskip(backend)
    trace = tmp_path / "trace"
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    line = ["strace", "-f", "-e", calls, "-o", str(trace), sys.executable]
    if (
        shutil.which("strace") is None
        or subprocess.run([*line, "-c", ""], check=False, timeout=60).returncode
    ):
        pytest.skip("no strace that may watch a process here")
    line += ["-m", "fourfold", "upscale", str(picture), "--backend", backend]
    subprocess.run(line, env=watched, check=True, capture_output=True, timeout=120)
    assert not re.search(r"AF_INET|sendmmsg", trace.read_text())


@pytest.mark.slow
def test_an_empty_input_never_hangs(watched: dict[str, str]) -> None:
    for _ in range(40):
        run(watched, "-m", "fourfold", "upscale", "-", code=1)


def test_runtimes_are_imported_through_one_door() -> None:
    direct = re.compile(r"^\s*(import|from) (openvino|onnxruntime)\b", re.MULTILINE)
    for folder in ("src", "benchmarks", "scripts"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not direct.search(path.read_text(encoding="utf-8")), path
