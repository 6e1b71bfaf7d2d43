"""The film pipeline against the bare engine, in one run: `python benchmarks/video.py CLIP...`.

Both enlarge the same decoded frames by the network's factor with the same `Upscaler`; the pipeline
also decodes, converts, encodes, joins and reads back. Rounds alternate, since the speed of a shared
machine drifts; the table gives the median of each and the ratio of the medians. On a machine that is
busy otherwise the ratio of processor times (bare by pipeline) is the one to look at.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path

from stamp import stamp

from fourfold import Upscaler
from fourfold.films.decode import FrameReader
from fourfold.films.probe import probe
from fourfold.jobs.door import upscale_video


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("clips", nargs="+", type=Path)
    parser.add_argument("-n", "--model", default="srgan-x4")
    parser.add_argument("--frames", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--preset", default=None)
    args = parser.parse_args()
    up = Upscaler(args.model)
    up.upscale(next(iter(FrameReader(probe(args.clips[0])))).pixels)  # open the network
    print(stamp())
    print(
        "| clip | result | bare engine MP/s | pipeline MP/s | pipeline fps | ratio | of CPU time |"
    )
    print("|---|---|---|---|---|---|---|")
    for clip in args.clips:
        bare, pipeline, cpu, size = [], [], [], ""
        for _ in range(args.rounds):
            before = time.process_time()
            bare.append(bare_speed(clip, up, args.frames))
            between = time.process_time()
            speed, size, share = pipeline_speed(clip, up, args.frames, args.preset)
            pipeline.append(speed)
            cpu.append(share * (between - before) / (time.process_time() - between))
        width, height = map(int, size.split("x"))
        b, p = statistics.median(bare), statistics.median(pipeline)
        fps = p * 1e6 / (width * height)
        print(
            f"| {clip.name} | {size} | {b:.2f} | {p:.2f} | {fps:.2f} | {p / b:.1%} "
            f"| {statistics.median(cpu):.1%} |",
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
    started = time.perf_counter()
    pixels = sum(up.upscale(frame)[..., 0].size for frame in frames)
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
