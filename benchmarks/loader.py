"""Crops per second that the loader cuts, against those that training consumes.

usage: PYTHONPATH=src python benchmarks/loader.py FOLDER [--workers 2] [--steps 0.43 2.9]

FOLDER holds photographs of at least 96x96. `--steps` are the seconds per step of both stages on
this machine, from benchmarks/training.py; a step takes 16 crops. CPU time tells what the loader
takes from training where both share the cores; it holds on a busy machine too. `real` is measured
from a cold start (first) and once its windows have come round.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from stamp import stamp

from fourfold.datasets import CropSettings, CropStream, find_sources, open_pairs
from fourfold.datasets.crops import Batch
from fourfold.datasets.window_store import BLOCK

BATCH = 16
ROUND = 4 * 4 * BLOCK // BATCH  # batches after which every window but the new ones is there


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--steps", type=float, nargs=2, default=(0.43, 2.9))
    arguments = parser.parse_args()
    print(stamp())
    with tempfile.TemporaryDirectory() as cache:
        sources = find_sources(arguments.folder, scale=4)
        start = time.perf_counter()
        pairs = open_pairs(sources, scale=4, min_side=96, cache=Path(cache))
        seconds = time.perf_counter() - start
        megapixels = sum(e.hr[1] * e.hr[2] for e in pairs.entries) / 1e6
        print(f"decoded {len(pairs)} pictures, {megapixels:.0f} MP, in {seconds:.1f} s, once")
        taken = [BATCH / seconds for seconds in arguments.steps]
        print(f"stage 1 takes {taken[0]:.1f} crops/s, stage 2 {taken[1]:.1f}")
        print("| degradation | CPU ms a crop | crops/s | / stage 1 | / stage 2 |")
        print("|---|---|---|---|---|")
        for name, settings, skipped in (
            ("bicubic", CropSettings(size=96), 1),
            ("jpeg", CropSettings(size=96, degradation="jpeg"), 1),
            ("real, each once", CropSettings(size=96, degradation="real", reuse=1), 1),
            ("real, first", CropSettings(size=96, degradation="real"), 1),
            ("real", CropSettings(size=96, degradation="real"), ROUND),
        ):
            stream = CropStream(pairs, settings, 0)
            batches = stream.batches(0, size=BATCH, workers=arguments.workers)
            for _ in range(skipped):
                next(batches)
            rate, cost = measure(batches, arguments.seconds)
            batches.close()
            times = " | ".join(f"{rate / crops:.1f}" for crops in taken)
            print(f"| {name} | {cost:.2f} | {rate:.0f} | {times} |", flush=True)


def measure(batches: Iterator[Batch], seconds: float) -> tuple[float, float]:
    """(crops per second, milliseconds of CPU time per crop) over at least `seconds`."""
    count, start, used = 0, time.perf_counter(), time.process_time()
    while time.perf_counter() - start < seconds:
        next(batches)
        count += BATCH
    rate = count / (time.perf_counter() - start)
    return rate, (time.process_time() - used) / count * 1000


if __name__ == "__main__":
    main()
