"""Nothing that upscales on a CPU imports torch, Ray or fsspec, and starting is quick work."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BLOCK = "import sys; sys.modules.update(dict.fromkeys(('torch', 'ray', 'fsspec')))\n"
CODES = {
    "import": "import fourfold",
    "help": "from fourfold.cli.main import run\nassert run(['--help']) == 0",
    "every help": (
        "from fourfold.cli.main import run\n"
        "for name in ('upscale', 'train', 'data', 'evaluate', 'models', 'serve', 'bench', 'doctor'):\n"
        "    assert run([name, '--help']) == 0"
    ),
    "doctor": "from fourfold.cli.main import run\nassert run(['doctor']) == 0",
    "upscale": (
        "from fourfold.cli.main import run\n"
        "import sys\n"
        "assert run(['upscale', sys.argv[1], '-o', sys.argv[2]]) == 0"
    ),
}


@pytest.mark.parametrize("name", CODES)
def test_works_with_what_is_heavy_blocked(name: str, tmp_path: Path) -> None:
    from fourfold.pictures.images import read_pixels, write_pixels

    small = tmp_path / "small.png"
    write_pixels(read_pixels(ROOT / "demo" / "chelsea.png")[:20, :20], small)
    command = [sys.executable, "-c", BLOCK + CODES[name], str(small), str(tmp_path / "out.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stderr


def test_help_does_not_load_runtimes() -> None:
    code = (
        "import sys\nfrom fourfold.cli.main import run\nrun(['--help'])\n"
        "heavy = {'torch', 'openvino', 'onnx', 'pyvips', 'h5py'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=240
    )
    assert done.returncode == 0, done.stderr
