"""Time per output pixel of the network and its parts over windows of several sizes.

    python benchmarks/windows.py [--rounds 7] [--precision bf16]

Shows where windows fall out of the caches and what their halos waste; the sides in
engine/upscaler.py come from here. Minima are shown: what counts is the cost of the work, not of the neighbours.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from stamp import stamp

from fourfold.engine.network import load_network
from fourfold.runtimes.openvino import open_openvino

SIDES = {"trunk": (168, 336, 600), "upsampler": (70, 102, 134, 262), "whole": (128, 256, 344)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--precision", default="bf16")
    arguments = parser.parse_args()
    network = load_network("srgan-x4")
    stages = {
        "trunk": (network.parts[0], 3),
        "upsampler": (network.parts[-1], 64),
        "whole": (network.whole, 3),
    }
    programs = {
        name: open_openvino(stage, device="cpu", precision=arguments.precision)
        for name, (stage, _) in stages.items()
    }
    rng = np.random.default_rng(0)
    times: dict[tuple[str, int], list[float]] = {}
    for _ in range(arguments.rounds + 1):
        for name, sides in SIDES.items():
            for side in sides:
                x = rng.random((1, stages[name][1], side, side), np.float32)
                started = time.perf_counter()
                programs[name].run(x)
                times.setdefault((name, side), []).append(time.perf_counter() - started)
    print(stamp(), "·", arguments.precision)
    print("| stage | window | µs per LR pixel | with the halo's waste |\n|---|---|---|---|")
    for (name, side), seconds in times.items():
        each = min(seconds[1:]) / side**2 * 1e6
        kept = max(side - 2 * (stages[name][0].traits.radius or 0), 1)
        print(f"| {name} | {side} | {each:.2f} | {each * (side / kept) ** 2:.2f} |")


if __name__ == "__main__":
    main()
