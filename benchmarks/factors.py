"""Factors that no network has: what is done after it, and how often it runs, by PSNR.

usage: python benchmarks/factors.py BENCH [-n srresnet-x4]

BENCH holds Set5 and Set14, each with HR/ and LR_bicubic/X2. x2: the network, then made half as large by
one kernel or another. x8: the network once and enlarged, or twice with a step between or after.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fourfold.engine.upscaler import Upscaler
from fourfold.imaging.arrays import Image, from_float, to_float
from fourfold.imaging.resize import imresize
from fourfold.metrics.protocol import mean_scores, score_pair
from fourfold.pictures.eight_bit import find_pictures, read_rgb8

Way = Callable[[Image], Image]


def ways(up: Callable[[Image], Image], scale: int) -> dict[str, Way]:
    """Each maps float32 LR to SR `scale` times as large."""
    if scale == 2:
        return {
            "bicubic": lambda lr: imresize(lr, 2),
            "network, cubic": lambda lr: imresize(up(lr), 0.5),
            "network, lanczos3": lambda lr: imresize(up(lr), 0.5, kernel="lanczos3"),
        }
    return {
        "bicubic": lambda lr: imresize(lr, 8),
        "network, lanczos3 x2": lambda lr: imresize(up(lr), 2, kernel="lanczos3"),
        "network, cubic x2": lambda lr: imresize(up(lr), 2),
        "network, halved, network": lambda lr: up(clipped(imresize(up(lr), 0.5))),
        "network, network, halved": lambda lr: imresize(up(up(lr)), 0.5),
    }


def clipped(image: Image) -> Image:
    """In [0, 1], as the network wants it."""
    return np.clip(image, 0, 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bench", type=Path)
    parser.add_argument("-n", "--model", default="srresnet-x4")
    arguments = parser.parse_args()
    upscaler = Upscaler(arguments.model)

    def up(image: Image) -> Image:
        return to_float(upscaler.upscale(image))

    for scale in (2, 8):
        for way, run in ways(up, scale).items():
            line = []
            for dataset in ("Set5", "Set14"):
                scores = []
                for path in find_pictures(arguments.bench / dataset / "HR"):
                    hr = read_rgb8(path)
                    height, width = (side // scale * scale for side in hr.shape[:2])
                    hr = np.ascontiguousarray(hr[:height, :width])
                    lr = to_float(imresize(hr, 1 / scale))
                    sr = from_float(clipped(run(lr)), np.uint8)
                    scores.append(score_pair(sr, hr, scale=scale))
                mean = mean_scores(scores)
                line.append(f"{dataset} {mean.psnr_y:.2f} / {mean.ssim_y:.4f}")
            print(f"x{scale} {way}: {', '.join(line)}", flush=True)


if __name__ == "__main__":
    main()
