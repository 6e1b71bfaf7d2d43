"""What a Ray worker costs beside this process: small pictures, `--engine local` and `--engine ray`.

    python benchmarks/engines.py [--pictures 200] [--side 64] [--rounds 2]

One worker with all cores each, in turns, so that what else the machine does hits both. The rate is counted from
the first finished picture to the last, without the start of the network or of Ray.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from stamp import stamp

from fourfold.cluster.run import State, Workers, run_batch
from fourfold.cluster.worker import Batch
from fourfold.jobs.request import Request
from fourfold.pictures.images import write_pixels


def rate(source: Path, target: Path, engine: str, model: str) -> float:
    """Pictures a second."""
    times: list[float] = []

    def report(state: State) -> None:
        if state.line is not None:
            times.append(time.perf_counter())

    batch = Batch(source=str(source), target=str(target), request=Request(source="-", model=model))
    run_batch(
        batch, workers=Workers.parse(engine, None, "1" if engine == "ray" else None), report=report
    )
    return (len(times) - 1) / (times[-1] - times[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=int, default=200)
    parser.add_argument("--side", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--model", default="srgan-x4")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    print(stamp())
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "in"
        source.mkdir()
        for number in range(options.pictures):
            pixels = rng.integers(0, 256, (options.side, options.side, 3), np.uint8)
            write_pixels(pixels, source / f"{number:04d}.png")
        for turn in range(options.rounds):
            rates = {
                engine: rate(source, Path(folder) / f"{engine}{turn}", engine, options.model)
                for engine in ("local", "ray")
            }
            extra = 1000 / rates["ray"] - 1000 / rates["local"]
            print(
                f"local {rates['local']:.2f}/s  ray {rates['ray']:.2f}/s  "
                f"{100 * rates['ray'] / rates['local']:.0f} %  {extra:+.1f} ms a picture"
            )


if __name__ == "__main__":
    main()
