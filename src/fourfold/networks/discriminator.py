"""The discriminator of SRGAN (Ledig et al. 2017, figure 4), as Keras runs it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from fourfold.errors import ModelError
from fourfold.networks.srresnet import BATCH_NORM_EPSILON, BLOCK_MOMENTUM
from fourfold.weights.readers.keras import read_keras_layers

LEAKY_SLOPE: Final = 0.2
DENSE_WIDTH: Final = 1024

# (channels as a multiple of the width, stride); the first has no BatchNorm.
_LAYOUT: Final = ((1, 1), (1, 2), (2, 1), (2, 2), (4, 1), (4, 2), (8, 1), (8, 2))


class SameConv(nn.Conv2d):
    """3x3 convolution with TensorFlow's 'same' padding.

    With stride 2 and an even side TensorFlow pads one row at the bottom and one column at the
    right, none at the top and left; torch's `padding=1` would sample other pixels.
    """

    def __init__(self, in_channels: int, out_channels: int, *, stride: int) -> None:
        super().__init__(in_channels, out_channels, 3, stride=stride)

    def forward(self, input: Tensor) -> Tensor:
        """`(N, C, H, W)` to sides divided by the stride, rounded up."""
        stride = self.stride[0]
        top, bottom = same_padding(input.shape[2], kernel=3, stride=stride)
        left, right = same_padding(input.shape[3], kernel=3, stride=stride)
        return super().forward(F.pad(input, (left, right, top, bottom)))


def same_padding(length: int, *, kernel: int, stride: int) -> tuple[int, int]:
    """Samples TensorFlow's 'same' adds before and after one axis.

    >>> [same_padding(n, kernel=3, stride=s) for n, s in ((96, 1), (96, 2), (97, 2))]
    [(1, 1), (0, 1), (1, 1)]
    """
    outputs = -(-length // stride)
    total = max((outputs - 1) * stride + kernel - length, 0)
    return total // 2, total - total // 2


class Discriminator(nn.Module):
    """RGB in [0, 1], `(N, 3, crop, crop)`, to one logit each, `(N,)`; sigmoid of it is D.

    Args:
        crop: side of the pictures; the first dense layer fixes it, 96 in the paper.
        width: channels of the first convolution, 64 in the paper.
    """

    def __init__(self, *, crop: int = 96, width: int = 64) -> None:
        super().__init__()
        if crop < 16 or width < 1:
            raise ModelError(
                f"discriminator: want a crop of at least 16 and a width of at least 1, "
                f"got {crop} and {width}"
            )
        self.crop, self.width = crop, width
        layers: list[nn.Module] = []
        channels, side = 3, crop
        for i, (factor, stride) in enumerate(_LAYOUT):
            layers.append(SameConv(channels, factor * width, stride=stride))
            channels, side = factor * width, -(-side // stride)
            if i > 0:
                layers.append(
                    nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=BLOCK_MOMENTUM)
                )
            layers.append(nn.LeakyReLU(LEAKY_SLOPE))
        self.features = nn.Sequential(*layers)
        self.dense = nn.Linear(channels * side * side, DENSE_WIDTH)
        self.act = nn.LeakyReLU(LEAKY_SLOPE)
        self.logit = nn.Linear(DENSE_WIDTH, 1)

    def forward(self, image: Tensor) -> Tensor:
        """Logits, at least float32 also under autocast."""
        if image.shape[1:] != (3, self.crop, self.crop):
            raise ModelError(
                f"discriminator: want (N, 3, {self.crop}, {self.crop}), got {tuple(image.shape)}"
            )
        x = self.features(image * 2 - 1)
        x = self.act(self.dense(x.contiguous().flatten(1)))
        logits = self.logit(x)[:, 0]
        return logits.to(torch.promote_types(logits.dtype, torch.float32))


def discriminator_from_keras(path: Path) -> Discriminator:
    """Read a Keras `.h5` discriminator of this architecture; `ModelError` for another one.

    The crop and the width are read off the kernels.
    """
    layers = read_keras_layers(path)
    convs, denses, norms = ([v for _, v in layers[kind]] for kind in ("conv", "dense", "norm"))
    wanted = (len(_LAYOUT), 2, len(_LAYOUT) - 1, 0)
    found = (len(convs), len(denses), len(norms), len(layers["prelu"]))
    if found != wanted:
        raise ModelError(
            f"{path}: want an SRGAN discriminator, {wanted} convolutions, dense layers, "
            f"BatchNorms and PReLUs, got {found}"
        )
    width, channels = convs[0]["kernel"].shape[-1], convs[-1]["kernel"].shape[-1]
    side = round((denses[0]["kernel"].shape[0] / channels) ** 0.5)
    network = Discriminator(crop=16 * side, width=width)
    state: dict[str, np.ndarray] = {}
    kinds = {"conv": iter(convs), "norm": iter(norms)}
    for i, layer in enumerate(network.features):
        if isinstance(layer, SameConv):
            values = next(kinds["conv"])
            state[f"features.{i}.weight"] = values["kernel"].transpose(3, 2, 0, 1)
            state[f"features.{i}.bias"] = values["bias"]
        elif isinstance(layer, nn.BatchNorm2d):
            values = next(kinds["norm"])
            state[f"features.{i}.weight"] = values["gamma"]
            state[f"features.{i}.bias"] = values["beta"]
            state[f"features.{i}.running_mean"] = values["moving_mean"]
            state[f"features.{i}.running_var"] = values["moving_variance"]
            state[f"features.{i}.num_batches_tracked"] = np.array(0)
    # Keras flattens (row, column, channel), torch (channel, row, column).
    kernel = denses[0]["kernel"].reshape(side, side, channels, -1)
    state["dense.weight"] = kernel.transpose(3, 2, 0, 1).reshape(kernel.shape[-1], -1)
    state["dense.bias"] = denses[0]["bias"]
    state["logit.weight"], state["logit.bias"] = denses[1]["kernel"].T, denses[1]["bias"]
    tensors = {k: torch.from_numpy(np.ascontiguousarray(v)) for k, v in state.items()}
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"{path}: kernels do not fit an SRGAN discriminator ({error})") from error
    return network


__all__ = ["Discriminator", "SameConv", "discriminator_from_keras", "same_padding"]
