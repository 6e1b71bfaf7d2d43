"""The film pipeline against the bare engine, per network: `python benchmarks/video.py CLIP...`.

Both enlarge the same decoded frames by the network's factor with the same `Upscaler`, as many at once; the
pipeline also decodes, converts, encodes, joins and reads back. The bare engine is timed twice: to RGB, and
to the planes that films are encoded from, where the network makes them; the ratio is that to the faster. Both
find the network compiled. Rounds alternate, since the speed of a shared machine drifts; the table gives the
median of each and the ratio of the medians. On a machine that is busy otherwise the ratio of processor times
(bare by pipeline) is the one to look at.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

from stamp import stamp

from fourfold import Upscaler
from fourfold.films.decode import FrameReader
from fourfold.films.probe import probe
from fourfold.imaging.yuv import Yuv
from fourfold.jobs.door import upscale_video
from fourfold.jobs.films.frames import enlarge
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
        "| model | clip | result | bare to RGB MP/s | bare to planes MP/s | pipeline MP/s | pipeline fps "
        "| ratio | of CPU time |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    for model, clip in product(args.model, args.clips):
        print(row(model, clip, args), flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
        1 if sys.platform == "darwin" else 1024
    )
    print(
        f"\npeak memory of the process: {peak:.0f} {'bytes' if sys.platform == 'darwin' else 'MiB'}"
    )


def row(model: str, clip: Path, args: argparse.Namespace) -> str:
    """A line of the table."""
    up = Upscaler(model)
    source = FrameReader(probe(clip))
    frames = [frame.pixels for frame, _ in zip(source, range(args.frames), strict=False)]
    engine = up.for_frames(*frames[0].shape[:2])
    yuv = Yuv(1, full_range=False)
    ways = [None, yuv] if engine.planes(frames[0], yuv) else [None]
    speeds, busy = {way: [] for way in ways}, {way: [] for way in ways}
    pipeline, pipeline_busy, size = [], [], ""
    for _ in range(args.rounds):
        for way in ways:
            before = time.process_time()
            speeds[way].append(bare_speed(engine, frames, way))
            busy[way].append(time.process_time() - before)
        before = time.process_time()
        speed, size, share = pipeline_speed(clip, up, len(frames), args.preset)
        pipeline.append(speed)
        pipeline_busy.append((time.process_time() - before) / share)
    width, height = map(int, size.split("x"))
    bare = {way: statistics.median(all_speeds) for way, all_speeds in speeds.items()}
    least = min(statistics.median(seconds) for seconds in busy.values())
    p = statistics.median(pipeline)
    planes = f"{bare[yuv]:.2f}" if yuv in bare else "-"
    return (
        f"| {Path(model).name} | {clip.name} | {size} | {bare[None]:.2f} | {planes} | {p:.2f} "
        f"| {p * 1e6 / (width * height):.2f} | {p / max(bare.values()):.1%} "
        f"| {least / statistics.median(pipeline_busy):.1%} |"
    )


def bare_speed(engine: Upscaler, frames: list[Any], yuv: Yuv | None) -> float:
    """Megapixels of result a second, arrays to arrays."""
    work = partial(enlarge, engine, yuv=yuv)
    with ThreadPoolExecutor(engine.lanes) as pool:
        work(frames[0])
        started = time.perf_counter()
        for _ in pool.map(work, frames):
            pass
        seconds = time.perf_counter() - started
    height, width = frames[0].shape[:2]
    return height * width * engine.scale**2 * len(frames) / 1e6 / seconds


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
