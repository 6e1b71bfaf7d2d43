"""Crops per second that the loader cuts, against those that training consumes.

usage: PYTHONPATH=src python benchmarks/loader.py FOLDER [--workers 2] [--consumed 34]

FOLDER holds photographs of at least 96x96. `--consumed` is what training takes on this machine in
crops per second (batch 16 over the seconds per step of benchmarks/training.py).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

from stamp import stamp

from fourfold.data import CropSettings, CropStream, find_sources, open_pairs

BATCH = 16


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--consumed", type=float, default=None)
    arguments = parser.parse_args()
    print(stamp())
    with tempfile.TemporaryDirectory() as cache:
        sources = find_sources(arguments.folder, scale=4)
        start = time.perf_counter()
        pairs = open_pairs(sources, scale=4, min_side=96, cache=Path(cache))
        seconds = time.perf_counter() - start
        megapixels = sum(e.hr[1] * e.hr[2] for e in pairs.entries) / 1e6
        print(f"decoded {len(pairs)} pictures, {megapixels:.0f} MP, in {seconds:.1f} s, once")
        print(f"| degradation | crops/s, {arguments.workers} threads | times what training takes |")
        print("|---|---|---|")
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
            times = f"{rate / arguments.consumed:.0f}" if arguments.consumed else ""
            print(f"| {degradation} | {rate:.0f} | {times} |", flush=True)


if __name__ == "__main__":
    main()
