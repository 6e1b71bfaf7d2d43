"""Does `engine.suits` tell damaged pictures from clean ones? A labelled set made from photographs.

usage: python benchmarks/suits.py FOLDER [--count 200] [--seed 0] [--fit]

Each photograph of FOLDER gives a clean picture (made small by MATLAB's bicubic) and damaged ones:
JPEG 30 to 80, noise of 4 to 25 grey levels, `degrade_real`. Half of COUNT are clean. `--fit`
prints the weights of `engine.suits`, from every other photograph; the score is of the rest.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fourfold.datasets.degradations import add_gaussian_noise, degrade_real, jpeg
from fourfold.engine.suits import features, suits
from fourfold.imaging.arrays import from_float, to_float
from fourfold.imaging.defects import Defects, measure
from fourfold.imaging.resize import imresize
from fourfold.pictures.eight_bit import find_pictures, read_rgb8

DAMAGE = ("jpeg", "noise", "real")
HR_SIDE = 1000


def labelled(files: list[Path], count: int, seed: int) -> Iterator[tuple[str, np.ndarray]]:
    """(label, uint8 picture), half of them clean."""
    rng = np.random.default_rng(seed)
    for i in range(count // 2):
        hr = read_rgb8(files[i % len(files)])
        side = min(HR_SIDE, *hr.shape[:2]) // 12 * 12
        top, left = (int(rng.integers(0, n - side + 1)) for n in hr.shape[:2])
        hr = np.ascontiguousarray(hr[top : top + side, left : left + side])
        lr = imresize(hr, 1 / int(rng.choice([2, 3, 4])))
        yield "clean", lr
        kind = DAMAGE[i % len(DAMAGE)]
        if kind == "jpeg":
            damaged = jpeg(lr, quality=int(rng.integers(30, 81)))
            # A saved picture is often cropped, so its grid may start anywhere.
            shift = rng.integers(0, 8, 2)
            damaged = np.ascontiguousarray(damaged[shift[0] :, shift[1] :])
        elif kind == "noise":
            sigma, grey = rng.uniform(4, 25) / 255, bool(rng.random() < 0.4)
            noisy = add_gaussian_noise(to_float(lr), sigma=sigma, grey=grey, rng=rng)
            damaged = from_float(noisy, np.uint8)
        else:
            damaged = degrade_real(hr, scale=4, rng=rng)
        yield kind, damaged


def fit(rows: list[tuple[Defects, bool]]) -> tuple[dict[str, float], float]:
    """Weights and constant of a logistic regression (Newton's method, ridge of 1)."""
    names = list(features(rows[0][0]))
    x = np.array([list(features(d).values()) for d, _ in rows])
    mean, spread = x.mean(axis=0), x.std(axis=0) + 1e-9
    x = np.c_[(x - mean) / spread, np.ones(len(x))]
    y = np.array([damaged for _, damaged in rows], float)
    ridge = np.r_[np.ones(len(names)), 1e-3]
    b = np.zeros(len(names) + 1)
    for _ in range(40):
        p = 1 / (1 + np.exp(-x @ b))
        hessian = x.T @ (x * (p * (1 - p))[:, None]) + np.diag(ridge)
        b += np.linalg.solve(hessian, x.T @ (y - p) - ridge * b)
    weights = b[:-1] / spread
    return dict(zip(names, weights.tolist(), strict=True)), float(b[-1] - weights @ mean)


def variants(picture: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """The picture, a part of it as small as a thumbnail, and every third time a grey copy."""
    yield picture
    side = min(int(rng.integers(56, 161)), *picture.shape[:2])
    top, left = (int(rng.integers(0, n - side + 1)) for n in picture.shape[:2])
    yield np.ascontiguousarray(picture[top : top + side, left : left + side])
    if rng.random() < 1 / 3:
        grey = np.round(picture @ [0.299, 0.587, 0.114]).astype(np.uint8)
        yield np.repeat(grey[..., None], 3, axis=2)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fit", action="store_true")
    options = parser.parse_args()
    files = find_pictures(options.folder)[0 if options.fit else 1 :: 2]
    pictures = labelled(files, options.count, options.seed)
    if options.fit:
        rng = np.random.default_rng(options.seed)
        rows = [
            (measure(to_float(variant)), label != "clean")
            for label, picture in pictures
            for variant in variants(picture, rng)
        ]
        weights, constant = fit([(d, damaged) for d, damaged in rows if d])
        print({name: round(value, 3) for name, value in weights.items()}, round(constant, 3))
        return
    right: dict[str, list[bool]] = {}
    for label, picture in pictures:
        verdict = suits(measure(to_float(picture)))
        right.setdefault(label, []).append((verdict.kind == "photo") == (label != "clean"))
    for label, own in right.items():
        print(f"{label}: {sum(own)} of {len(own)}")
    print(f"all: {np.mean([r for own in right.values() for r in own]):.3f}")


if __name__ == "__main__":
    main()
