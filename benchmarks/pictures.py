"""Folders against the bare engine, memory against size, encoders: what the picture path costs.

    python benchmarks/pictures.py --folder [FILES SIDE]
    python benchmarks/pictures.py --memory SIDE...
    python benchmarks/pictures.py --encoders
    python benchmarks/pictures.py --encoder-memory

Each prints a table. Rates are taken in turns, so that a slow minute hits both ways alike.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyvips
from stamp import stamp

from fourfold.engine.upscaler import Upscaler
from fourfold.jobs.inputs import find_requests
from fourfold.jobs.pipeline import run_all
from fourfold.pictures.images import read_pixels, write_pixels

DEMO = Path(__file__).parents[1] / "docs" / "pictures" / "before-after.png"


def photograph(side: int, seed: int = 0) -> np.ndarray:
    """A crop of a photograph, repeated where it is too small."""
    pixels = read_pixels(DEMO)[..., :3]
    shift = seed * 37 % min(pixels.shape[:2])
    times = (side // pixels.shape[0] + 2, side // pixels.shape[1] + 2, 1)
    return np.ascontiguousarray(np.tile(np.roll(pixels, shift, 1), times)[:side, :side])


def folder(files: int, side: int, rounds: int) -> None:
    """MP/s of a folder of JPEGs, everything included, and of the engine on the same arrays."""
    up = Upscaler()
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for i in range(files):
            write_pixels(photograph(side, i), root / "in" / f"{i:03}.jpg")
        arrays = [read_pixels(path) for path in sorted((root / "in").iterdir())]
        up.upscale(arrays[0])
        megapixels = files * (side * up.scale) ** 2 / 1e6
        rates: dict[str, list[float]] = {"engine": [], "folder": []}
        for _ in range(rounds):
            started = time.perf_counter()
            for array in arrays:
                up.upscale(array)
            rates["engine"].append(megapixels / (time.perf_counter() - started))
            started = time.perf_counter()
            requests, _ = find_requests([str(root / "in")], root / "out", overwrite=True)
            assert all(o.status == "done" for o in run_all(requests, upscaler=up))
            rates["folder"].append(megapixels / (time.perf_counter() - started))
    ratios = np.divide(rates["folder"], rates["engine"])
    print(f"{files} JPEGs of {side}x{side}, x4, {rounds} rounds in turns, medians; {stamp()}")
    for way, values in rates.items():
        print(f"{way:8} {np.median(values):6.2f} MP/s out")
    print(f"folder / engine {np.median(ratios):.3f} (rounds {np.round(ratios, 3)})")


_PEAK = """
import resource, sys
from fourfold.jobs.door import upscale_file
upscale_file(sys.argv[1], sys.argv[2], max_pixels=10**11)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def memory(sides: list[int]) -> None:
    """Peak resident memory of a process that enlarges one square JPEG under the default 1GB."""
    print(f"LR side   peak resident MB; {stamp()}")
    with tempfile.TemporaryDirectory() as name:
        for side in sides:
            source = Path(name) / f"{side}.jpg"
            write_pixels(photograph(side), source)
            run = [sys.executable, "-c", _PEAK, str(source), str(Path(name) / "out.jpg")]
            done = subprocess.run(run, capture_output=True, text=True, check=True)
            print(f"{side:7}   {int(done.stdout) / 1024:.0f}", flush=True)


def encoders() -> None:
    """MP/s and bytes of the ways to write PNG, JPEG and TIFF."""
    image = pyvips.Image.new_from_array(photograph(2000)).copy(interpretation="srgb")
    ways = {
        ".png": [{"compression": c, "filter": f} for c in (3, 6) for f in ("none", "sub", "up")],
        ".jpg": [{"Q": 95, "subsample_mode": "off", "optimize_coding": o} for o in (False, True)],
        ".tif": [{"compression": "deflate", "predictor": "horizontal", "level": n} for n in (3, 6)],
    }
    print(stamp())
    for suffix, choices in ways.items():
        for options in choices:
            started = time.perf_counter()
            size = len(image.write_to_buffer(suffix, **options))
            rate = 4 / (time.perf_counter() - started)
            print(f"{suffix} {rate:6.1f} MP/s {size / 1e6:6.2f} MB {options}")


_ENCODE = """
import sys
import pyvips
from fourfold.pictures.encode import SAVERS, Saving

def peak():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

source, suffix, bits = sys.argv[1:]
image = pyvips.Image.new_from_file(source, access="sequential")
if bits == "16":
    image = image.colourspace("rgb16")
before = peak()
SAVERS[suffix](image, f"{source}.{suffix}".encode(), Saving(quality=90))
print(1024 * (peak() - before) / (image.width * image.height))
"""


def encoder_memory(side: int = 4000) -> None:
    """Bytes per pixel that writing a picture with transparency takes (Linux)."""
    print(f"encoder   bits   bytes per pixel, {side}x{side} with alpha; {stamp()}")
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / "source.png"
        pixels = photograph(side)
        alpha = np.broadcast_to(np.linspace(0, 255, side).astype(np.uint8), (side, side))
        write_pixels(np.dstack([pixels, alpha]), source)
        for suffix, bits in [("webp", 8), ("gif", 8), ("avif", 8), ("avif", 16), ("png", 16)]:
            run = [sys.executable, "-c", _ENCODE, str(source), suffix, str(bits)]
            done = subprocess.run(run, capture_output=True, text=True, check=True)
            print(f"{suffix:9} {bits:4}   {float(done.stdout):.1f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", nargs="*", type=int, metavar="N")
    parser.add_argument("--memory", nargs="+", type=int, metavar="SIDE")
    parser.add_argument("--encoders", action="store_true")
    parser.add_argument("--encoder-memory", action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.folder is not None:
        files, side = [*options.folder, *(12, 320)[len(options.folder) :]][:2]
        folder(files, side, options.rounds)
    if options.memory:
        memory(options.memory)
    if options.encoders:
        encoders()
    if options.encoder_memory:
        encoder_memory()


if __name__ == "__main__":
    main()
