"""Other people's networks with random weights: the same as spandrel's, whole and in tiles, and how fast?

usage: python benchmarks/architectures.py [NAME ...] [--rounds 3]

Each network of tests/made_networks.py enlarges a picture of 300 by 200 in fp32. Prints a Markdown table:
tiles, what runs it, the largest difference of 255 from spandrel whole (the default tile covers this
picture) and with `--tile 64`, and megapixels of result per second as a share of srgan-x4's, measured
in turns with it.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from stamp import stamp

from fourfold import Upscaler
from fourfold.errors import FourfoldError
from fourfold.runtimes.program import TorchProgram

sys.path.insert(0, str(Path(__file__).parents[1]))
from tests import made_networks

HEIGHT, WIDTH = 200, 300


def draw() -> np.ndarray:
    """Waves and noise, uint8 `(200, 300, 3)`."""
    y, x = np.mgrid[:HEIGHT, :WIDTH].astype(np.float64)
    planes = [128 + 70 * np.sin((x * k + y) / (3 + 2 * k)) for k in (0.3, 0.9, 1.7)]
    noise = np.random.default_rng(0).normal(0, 8, (HEIGHT, WIDTH, 3))
    return np.clip(np.stack(planes, axis=2) + noise, 0, 255).astype(np.uint8)


def seconds(up: Upscaler, lr: np.ndarray) -> float:
    start = time.perf_counter()
    up.upscale(lr)
    return time.perf_counter() - start


def speed(up: Upscaler, lr: np.ndarray, reference: Upscaler, rounds: int) -> tuple[float, float]:
    """Result's megapixels per second: of `up`, and of `reference` in turns with it (best of all)."""
    own, other = (
        min(times)
        for times in zip(
            *((seconds(up, lr), seconds(reference, lr)) for _ in range(rounds)), strict=True
        )
    )
    pixels = HEIGHT * WIDTH / 1e6
    return pixels * up.scale**2 / own, pixels * reference.scale**2 / other


def row(name: str, folder: Path, lr: np.ndarray, reference: Upscaler, rounds: int) -> str:
    """One line of the table."""
    path = made_networks.write(name, folder / "net.pth")
    lr = lr[..., : 1 if "grey" in name else 3]
    wanted = made_networks.by_spandrel(path, lr)
    up = Upscaler(path, precision="fp32")
    tiled = Upscaler(path, precision="fp32", tile=64)
    whole_off, tiled_off = (np.abs(u.upscale(lr) - wanted).max() for u in (up, tiled))
    rate, usual = speed(up, lr, reference, rounds)
    exact = f"exact, radius {up.network.whole.traits.radius}"
    by = "torch" if isinstance(up.network.whole, TorchProgram) else "converted ONNX"
    cells = (
        name,
        f"x{up.scale}",
        "blended" if up.network.blended else exact,
        by,
        f"{whole_off:.2f}",
        f"{tiled_off:.2f}",
        f"{rate:.2f}",
        f"{rate / usual:.2f}",
    )
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    lr, reference = draw(), Upscaler("srgan-x4", precision="fp32", consistency=False)
    print(f"{stamp()}\n")
    titles = "network", "scale", "tiles", "runs by", "whole", "--tile 64", "MP/s", "of srgan-x4"
    print(f"| {' | '.join(titles)} |\n|{'---|' * len(titles)}")
    for name in options.names or made_networks.NETWORKS:
        with tempfile.TemporaryDirectory() as folder:
            try:
                print(row(name, Path(folder), lr, reference, options.rounds), flush=True)
            except FourfoldError as error:
                print(f"| {name} | failed: {error} |", flush=True)


if __name__ == "__main__":
    main()
