"""How one model's PSNR and SSIM change with the protocol: the table in docs/scoring.md.

    python benchmarks/score_variants.py SET... [-n MODEL]

Each variant changes one thing of the protocol and leaves the rest.
"""

from __future__ import annotations

import argparse
import datetime
import platform
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fourfold import Upscaler
from fourfold.evaluation.datasets import load_pair, open_dataset
from fourfold.imaging.color import rgb_to_y
from fourfold.imaging.resize import imresize
from fourfold.metrics.psnr import psnr
from fourfold.metrics.ssim import ssim
from fourfold.pictures.images import read_pixels

SCALE = 4
Images = tuple[np.ndarray, np.ndarray]
Prepare = Callable[[np.ndarray, np.ndarray], Images]


def shaved(width: int, *images: np.ndarray) -> Images:
    inner = slice(width, -width) if width else slice(None)
    first, second = (image[inner, inner] for image in images)
    return first, second


def luma(sr: np.ndarray, hr: np.ndarray) -> Images:
    return shaved(SCALE, rgb_to_y(sr), rgb_to_y(hr))


def luma_256(sr: np.ndarray, hr: np.ndarray) -> Images:
    weights = np.array([65.738, 129.057, 25.064]) / 256
    return shaved(SCALE, sr @ weights, hr @ weights)


VARIANTS: dict[str, Prepare] = {
    "the protocol": luma,
    "nothing shaved": lambda sr, hr: (rgb_to_y(sr), rgb_to_y(hr)),
    "scale + 6 shaved": lambda sr, hr: shaved(SCALE + 6, rgb_to_y(sr), rgb_to_y(hr)),
    "Y rounded to 8 bits": lambda sr, hr: shaved(SCALE, rgb_to_y(sr).round(), rgb_to_y(hr).round()),
    "Y with the constants over 256": luma_256,
    "full-range luma": lambda sr, hr: shaved(
        SCALE, *(image @ np.array([0.299, 0.587, 0.114]) for image in (sr, hr))
    ),
    "RGB": lambda sr, hr: shaved(SCALE, sr, hr),
}


def small_like_opencv(hr: np.ndarray, lr: np.ndarray) -> np.ndarray:
    """Bicubic without antialiasing, as cv2.resize and tf.image.resize do by default."""
    return imresize(hr, 1 / SCALE, antialias=False)


INPUTS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "LR made without antialiasing": small_like_opencv,
    "LR made by averaging 4x4": lambda hr, lr: imresize(hr, 1 / SCALE, kernel="box"),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sets", nargs="+", type=Path)
    parser.add_argument("-n", "--model", default="srresnet-x4")
    arguments = parser.parse_args()
    up = Upscaler(arguments.model, precision="fp32", consistency=False)
    print(f"{datetime.date.today()} {platform.machine()} {arguments.model}")
    for root in arguments.sets:
        found = open_dataset(root, scale=SCALE).pairs
        grey = [read_pixels(pair.hr).ndim == 2 for pair in found]
        pairs = [load_pair(pair, scale=SCALE) for pair in found]
        results = [(up.upscale(lr), hr) for lr, hr in pairs]
        bicubic = [(imresize(lr, SCALE), hr) for lr, hr in pairs]
        for name, prepare in VARIANTS.items():
            report(root.name, name, [prepare(sr, hr) for sr, hr in results])
        as_stored = "grey files scored as stored"
        report(root.name, as_stored, unconverted(results, grey))
        report(root.name, "bicubic", [luma(sr, hr) for sr, hr in bicubic])
        report(root.name, f"bicubic, {as_stored}", unconverted(bicubic, grey))
        for name, shrink in INPUTS.items():
            report(root.name, name, [luma(up.upscale(shrink(hr, lr)), hr) for lr, hr in pairs])


def unconverted(results: list[Images], grey: list[bool]) -> list[Images]:
    """Luma of colour files; the only channel of files that have one."""
    return [
        shaved(SCALE, sr[..., 0], hr[..., 0]) if single else luma(sr, hr)
        for (sr, hr), single in zip(results, grey, strict=True)
    ]


def report(dataset: str, name: str, images: list[Images]) -> None:
    first = float(np.mean([psnr(sr, hr) for sr, hr in images]))
    second = float(np.mean([ssim(sr, hr) for sr, hr in images]))
    print(f"{dataset:6} {name:38} {first:6.2f} dB  SSIM {second:.4f}")


if __name__ == "__main__":
    main()
