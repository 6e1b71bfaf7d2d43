"""The consistency step of `imaging.consistency`, differentiable, for training with it in the loop."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from fourfold.imaging.resize import imresize


def back_project(sr: Tensor, lr: Tensor) -> Tensor:
    """`sr + bicubic_up(lr - bicubic_down(sr))`, `(N, C, H, W)` with sides a multiple of lr's.

    Equals `imaging.consistency.back_project`; its gradient reaches `sr` only.
    """
    rows, columns = lr.shape[2:]
    with torch.autocast(sr.device.type, enabled=False):
        small = _resize(sr, rows, columns)
        return sr + _resize(lr.to(sr.dtype) - small, *sr.shape[2:])


def _resize(image: Tensor, rows: int, columns: int) -> Tensor:
    """MATLAB's bicubic as two matrix products: exact, and quick for crops of a few hundred pixels."""
    down = _matrix(image.shape[2], rows).to(image.device, image.dtype)
    across = _matrix(image.shape[3], columns).to(image.device, image.dtype)
    return down @ image.contiguous() @ across.T


@lru_cache(maxsize=32)
def _matrix(length: int, wanted: int) -> Tensor:
    """`(wanted, length)`: each result sample as weights of the samples it is made from."""
    identity = np.eye(length)[..., None]
    return torch.from_numpy(imresize(identity, size=(wanted, length))[..., 0].copy())


__all__ = ["back_project"]
