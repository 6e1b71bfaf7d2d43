"""Crops per second that the loader cuts, against those that training consumes.

usage: PYTHONPATH=src python benchmarks/loader.py FOLDER [--workers 2] [--steps 0.43 2.9]

FOLDER holds photographs of at least 96x96. `--steps` are the seconds per step of both stages on
this machine, from benchmarks/training.py; a step takes 16 crops.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from stamp import stamp

from fourfold.datasets import CropSettings, CropStream, find_sources, open_pairs

BATCH = 16


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
        print(f"| degradation | crops/s, {arguments.workers} threads | / stage 1 | / stage 2 |")
        print("|---|---|---|---|")
        for degradation in ("bicubic", "jpeg", "real"):
            settings = CropSettings(size=96, degradation=degradation)
            batches = CropStream(pairs, settings, 0).batches(
                0, size=BATCH, workers=arguments.workers
            )
            next(batches)
            count, start = 0, time.perf_counter()
            while time.perf_counter() - start < arguments.seconds:
                next(batches)
                count += BATCH
            rate = count / (time.perf_counter() - start)
            batches.close()
            times = " | ".join(f"{rate / crops:.0f}" for crops in taken)
            print(f"| {degradation} | {rate:.0f} | {times} |", flush=True)


if __name__ == "__main__":
    main()
