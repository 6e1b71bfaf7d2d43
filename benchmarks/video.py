"""The film pipeline against the bare engine, per network: `python benchmarks/video.py CLIP...`.

Both enlarge the same decoded frames by the network's factor with the same `Upscaler`, as many at once; the
pipeline also decodes, converts, encodes, joins and reads back. Rounds alternate, since the speed of a
shared machine drifts; the table gives the median of each and the ratio of the medians. On a machine that is
busy otherwise the ratio of processor times (bare by pipeline) is the one to look at.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

from stamp import stamp

from fourfold import Upscaler
from fourfold.films.decode import FrameReader
from fourfold.films.probe import probe
from fourfold.jobs.door import upscale_video
from fourfold.weights.zoo import BUNDLED


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("-n", "--model", nargs="+", default=list(BUNDLED))
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default=None)
    args = parser.parse_args()
    print(stamp())
    print(
        "| model | clip | result | bare engine MP/s | pipeline MP/s | pipeline fps | ratio | of CPU time "
        "| bare MP a CPU second |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for model, clip in product(args.model, args.clips):
        up = Upscaler(model)
        first = next(iter(FrameReader(probe(clip)))).pixels
        up.for_frames(*first.shape[:2]).upscale(first)  # compile, for the cache on disk
        bare, pipeline, cpu, busy, size = [], [], [], [], ""
        for _ in range(args.rounds):
            before = time.process_time()
            bare.append(bare_speed(clip, up, args.frames))
            between = time.process_time()
            busy.append(between - before)
            speed, size, share = pipeline_speed(clip, up, args.frames, args.preset)
            pipeline.append(speed)
            cpu.append(share * (between - before) / (time.process_time() - between))
        width, height = map(int, size.split("x"))
        b, p = statistics.median(bare), statistics.median(pipeline)
        fps = p * 1e6 / (width * height)
        print(
            f"| {Path(model).name} | {clip.name} | {size} | {b:.2f} | {p:.2f} | {fps:.2f} | {p / b:.1%} "
            f"| {statistics.median(cpu):.1%} "
            f"| {width * height * args.frames / 1e6 / statistics.median(busy):.1f} |",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 if sys.platform == "darwin" else 1024
    )
    print(
        f"\npeak memory of the process: {peak:.0f} {'bytes' if sys.platform == 'darwin' else 'MiB'}"
    )


def bare_speed(clip: Path, up: Upscaler, count: int) -> float:
    """Megapixels of result a second, arrays to arrays."""
    frames = []
    for frame in FrameReader(probe(clip)):
        frames.append(frame.pixels)
        if len(frames) == count:
            break
    engine = up.for_frames(*frames[0].shape[:2])
    with ThreadPoolExecutor(engine.lanes) as pool:
        engine.upscale(frames[0])
        started = time.perf_counter()
        pixels = sum(sr[..., 0].size for sr in pool.map(engine.upscale, frames))
    return pixels / 1e6 / (time.perf_counter() - started)


def pipeline_speed(
    clip: Path, up: Upscaler, count: int, preset: str | None
) -> tuple[float, str, float]:
    """Megapixels a second, file to file; the size; the share of frames that had to be computed."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        result = upscale_video(
            clip, Path(folder) / "out.mkv", upscaler=up, frames=count, preset=preset
        )
        seconds = time.perf_counter() - started
    computed = result.frames - result.repeated
    size = f"{result.width}x{result.height}"
    return result.width * result.height * computed / 1e6 / seconds, size, computed / count


if __name__ == "__main__":
    main()
