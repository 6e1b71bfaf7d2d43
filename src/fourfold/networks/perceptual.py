"""LPIPS and DISTS: distances of pictures between the features of networks trained to see.

Zhang, Isola, Efros, Shechtman, Wang: The unreasonable effectiveness of deep features as a
perceptual metric, CVPR 2018 (version 0.1 of its heads); Ding, Ma, Wang, Simoncelli: Image quality
assessment, unifying structure and texture similarity, TPAMI 2020. Both are differentiable, and
their weights frozen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fourfold.errors import ModelError
from fourfold.networks.vgg import DEPTHS, TORCHVISION_MEANS, TORCHVISION_STDS
from fourfold.weights.readers.perceptual import DISTS, find_weights, read_lpips_weights

# lpips/lpips.py, ScalingLayer: ImageNet's means and deviations of pictures in [-1, 1].
_SHIFT: Final = (-0.030, -0.088, -0.188)
_SPREAD: Final = (0.458, 0.448, 0.450)
_EPSILON: Final = 1e-10  # lpips/__init__.py, normalize_tensor
_STABLE: Final = 1e-6  # DISTS_pt.py, c1 and c2
# Kernel, stride and padding of AlexNet's convolutions in torchvision; pools of 3 before 2 and 3.
_ALEX: Final = ((11, 4, 2), (5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))
_ALEX_SHAPES: Final = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))

SMALLEST_SIDE: Final = {"alex": 31, "vgg": 16}
"""Pixels a side below which a network's pools leave nothing."""


class _Judge(nn.Module):
    """Convolutions by number, frozen."""

    def __init__(self, convolutions: list[tuple[np.ndarray, np.ndarray]]) -> None:
        super().__init__()
        for i, (weight, bias) in enumerate(convolutions):
            self.register_buffer(f"weight{i}", torch.from_numpy(weight.copy()), False)
            self.register_buffer(f"bias{i}", torch.from_numpy(bias.copy()), False)

    def conv(self, x: Tensor, number: int, *, stride: int = 1, padding: int = 1) -> Tensor:
        weight, bias = getattr(self, f"weight{number}"), getattr(self, f"bias{number}")
        # The picture itself is not rounded to bf16 under autocast, which is coarser than 8 bits.
        kind = x.device.type
        with torch.autocast(kind, enabled=number > 0 and torch.is_autocast_enabled(kind)):
            return F.relu(F.conv2d(x, weight, bias, stride=stride, padding=padding))


class Lpips(_Judge):
    """The distance of two batches `(N, 3, H, W)`, RGB in [0, 1]: `(N,)`, 0 for equal pictures.

    Args:
        net: `alex`, which papers state, or `vgg` (VGG16). Their values are not comparable.

    Raises `UsageError` where `$FOURFOLD_METRICS` does not lead to the weights, `ModelError` where
    they are damaged.
    """

    shift: Tensor
    spread: Tensor

    def __init__(self, net: str = "alex") -> None:
        convolutions, heads = read_lpips_weights(net)
        shapes = [weight.shape[:3] for weight, _ in convolutions]
        if shapes != (list(_ALEX_SHAPES) if net == "alex" else _vgg_shapes()):
            raise ModelError(f"LPIPS weights: want those of {net}, got shapes {shapes}")
        super().__init__(convolutions)
        self.net = net
        for i, head in enumerate(heads):
            self.register_buffer(f"head{i}", torch.from_numpy(head.copy()).view(1, -1, 1, 1), False)
        self.register_buffer("shift", torch.tensor(_SHIFT).view(1, 3, 1, 1), False)
        self.register_buffer("spread", torch.tensor(_SPREAD).view(1, 3, 1, 1), False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The distances; their gradient reaches whatever asks for one."""
        total = sr.new_zeros(len(sr))
        stages = zip(self._stages(sr), self._stages(hr), strict=True)
        for i, (a, b) in enumerate(stages):
            difference = (_unit(a) - _unit(b)) ** 2 * getattr(self, f"head{i}")
            total = total + difference.sum(1).mean((1, 2))
        return total

    def _stages(self, image: Tensor) -> Iterator[Tensor]:
        """Features of five depths, one at a time, so that only one pair is held."""
        x = (image * 2 - 1 - self.shift) / self.spread
        if self.net == "vgg":
            yield from _vgg_stages(self, x, lambda y: F.max_pool2d(y, 2))
            return
        for i, (_, stride, padding) in enumerate(_ALEX):
            if i in (1, 2):
                x = F.max_pool2d(x, 3, 2)
            x = self.conv(x, i, stride=stride, padding=padding)
            yield x


class Dists(_Judge):
    """DISTS of two batches `(N, 3, H, W)`, RGB in [0, 1]: `(N,)`, 0 for equal pictures.

    Raises as `Lpips` does.
    """

    alpha: Tensor
    beta: Tensor
    means: Tensor
    stds: Tensor
    kernel: Tensor

    def __init__(self) -> None:
        convolutions, _ = read_lpips_weights("vgg")
        if [weight.shape[:3] for weight, _ in convolutions] != _vgg_shapes():
            raise ModelError("DISTS: want the weights of VGG16 in vgg16.ckpt, got others")
        super().__init__(convolutions)
        alpha, beta = _read_dists_heads()
        total = alpha.sum() + beta.sum()
        self.register_buffer("alpha", alpha / total, False)
        self.register_buffer("beta", beta / total, False)
        self.register_buffer("means", torch.tensor(TORCHVISION_MEANS).view(1, 3, 1, 1), False)
        self.register_buffer("stds", torch.tensor(TORCHVISION_STDS).view(1, 3, 1, 1), False)
        # DISTS_pt.py, L2pooling: the three inner weights of a Hann window of 5.
        window = torch.tensor(np.hanning(5)[1:-1], dtype=torch.float32)
        kernel = window[:, None] * window
        self.register_buffer("kernel", (kernel / kernel.sum())[None, None], False)

    def forward(self, sr: Tensor, hr: Tensor) -> Tensor:
        """The distances."""
        similar = sr.new_zeros(len(sr))
        first = 0
        for a, b in zip(self._stages(sr), self._stages(hr), strict=True):
            last = first + a.shape[1]
            structure, texture = self.beta[first:last], self.alpha[first:last]
            mean_a, mean_b = a.mean((2, 3)), b.mean((2, 3))
            luminance = (2 * mean_a * mean_b + _STABLE) / (mean_a**2 + mean_b**2 + _STABLE)
            var_a = ((a - mean_a[..., None, None]) ** 2).mean((2, 3))
            var_b = ((b - mean_b[..., None, None]) ** 2).mean((2, 3))
            covariance = (a * b).mean((2, 3)) - mean_a * mean_b
            contrast = (2 * covariance + _STABLE) / (var_a + var_b + _STABLE)
            similar = similar + (texture * luminance + structure * contrast).sum(1)
            first = last
        return 1 - similar

    def _stages(self, image: Tensor) -> Iterator[Tensor]:
        yield image
        yield from _vgg_stages(self, (image - self.means) / self.stds, self._l2_pool)

    def _l2_pool(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        kernel = self.kernel.expand(channels, 1, 3, 3)
        return (F.conv2d(x**2, kernel, stride=2, padding=1, groups=channels) + 1e-12).sqrt()


def _vgg_stages(judge: _Judge, x: Tensor, pool: Callable[[Tensor], Tensor]) -> Iterator[Tensor]:
    number = 0
    for i, depth in enumerate(DEPTHS["vgg16"]):
        if i:
            x = pool(x)
        for _ in range(depth):
            x = judge.conv(x, number)
            number += 1
        yield x


def _vgg_shapes() -> list[tuple[int, ...]]:
    shapes: list[tuple[int, ...]] = []
    channels = 3
    for depth, width in zip(DEPTHS["vgg16"], (64, 128, 256, 512, 512), strict=True):
        for _ in range(depth):
            shapes.append((width, channels, 3))
            channels = width
    return shapes


def _unit(features: Tensor) -> Tensor:
    """Each pixel's features at length 1, out of autocast; the clamp keeps the gradient finite where
    all are 0."""
    features = features.to(torch.promote_types(features.dtype, torch.float32))
    squares = (features**2).sum(1, keepdim=True)
    return features / (squares.clamp_min(_EPSILON**2).sqrt() + _EPSILON)


def _read_dists_heads() -> tuple[Tensor, Tensor]:
    import io

    content, source = find_weights(DISTS)
    try:
        heads = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
        alpha, beta = (heads[name].detach().float().reshape(-1) for name in ("alpha", "beta"))
    except Exception as error:  # pickle, zip and torch errors have no common base
        raise ModelError(f"{source}: want the heads of DISTS, got another file") from error
    if len(alpha) != len(beta) or len(alpha) != 3 + sum((64, 128, 256, 512, 512)):
        raise ModelError(f"{source}: want 1475 weights of DISTS twice, got {len(alpha)}")
    return alpha, beta


__all__ = ["SMALLEST_SIDE", "Dists", "Lpips"]
