"""SRResNet, the generator of SRGAN (Ledig et al. 2017, figure 4), in the form it is trained in."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from fourfold.errors import ModelError
from fourfold.networks.generator import Generator
from fourfold.networks.rewritten import PRelu, prelu_before_shuffle, tail_before_shuffle
from fourfold.networks.settings import NetworkSettings, Positive
from fourfold.weights.inference_form import (
    SCALES,
    fold_srresnet,
    num_doublings,
    unfold_srresnet,
)
from fourfold.weights.readers.keras import srresnet_from_keras

# Keras BatchNormalization defaults to epsilon=1e-3 (torch: 1e-5); the published .h5 generators
# were trained with it. Keras momentum m is torch momentum 1 - m.
BATCH_NORM_EPSILON: Final = 1e-3
BLOCK_MOMENTUM: Final = 0.2  # Keras 0.8 inside the residual blocks
TRUNK_MOMENTUM: Final = 0.01  # Keras 0.99 after the trunk


class SRResNetSettings(NetworkSettings):
    """The generator of SRGAN."""

    architecture: Literal["srresnet"] = "srresnet"
    """Family of the network."""
    scale: Literal[2, 4, 8] = 4
    """How many times larger the result is."""
    num_blocks: Positive = 16
    """Residual blocks; 16 in the paper."""
    width: Positive = 64
    """Channels of the trunk; 64 in the paper."""
    norm: Literal["batch", "none"] = "batch"
    """`batch` as published; `none` trains without BatchNorm, and is what a run started from a
    model file gets, whatever stands here (its BatchNorm is folded into the convolutions)."""

    from_weights = frozenset({"norm"})


class ResidualBlock(nn.Module):
    """conv 3x3, BN, PReLU, conv 3x3, BN, plus the input."""

    def __init__(self, width: int, *, norm: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, padding=1)
        self.norm1 = _norm(width, BLOCK_MOMENTUM) if norm else nn.Identity()
        self.act = PRelu(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)
        self.norm2 = _norm(width, BLOCK_MOMENTUM) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """`(N, width, H, W)` to the same."""
        y = self.act(self.norm1(self.conv1(x)))
        return x + self.norm2(self.conv2(y))


class SRResNet(Generator):
    """RGB in [0, 1], `(N, 3, H, W)`, to RGB in [0, 1], `(N, 3, H * scale, W * scale)`.

    Args:
        scale: 2, 4 or 8; any other is a `ModelError`.
        num_blocks: residual blocks, 16 in the paper.
        width: channels of the trunk, 64 in the paper.
        norm: `batch` as published, or `none`: what a file in inference form (BN folded) becomes
            when training goes on from it.
    """

    def __init__(
        self,
        *,
        scale: int = 4,
        num_blocks: int = 16,
        width: int = 64,
        norm: Literal["batch", "none"] = "batch",
    ) -> None:
        super().__init__()
        if scale not in SCALES:
            raise ModelError(f"SRResNet scale: want one of {SCALES}, got {scale!r}")
        if num_blocks < 1 or width < 1:
            raise ModelError(
                f"SRResNet: want num_blocks and width of at least 1, got {num_blocks} and {width}"
            )
        self.settings = SRResNetSettings.model_validate(
            {"scale": scale, "num_blocks": num_blocks, "width": width, "norm": norm}
        )
        with_norm = norm == "batch"
        self.head = nn.Conv2d(3, width, 9, padding=4)
        self.head_act = PRelu(width)
        self.blocks = nn.Sequential(
            *(ResidualBlock(width, norm=with_norm) for _ in range(num_blocks))
        )
        self.trunk = nn.Conv2d(width, width, 3, padding=1)
        self.trunk_norm = _norm(width, TRUNK_MOMENTUM) if with_norm else nn.Identity()
        doublings = num_doublings(scale)
        self.upsample = nn.ModuleList(
            nn.Conv2d(width, 4 * width, 3, padding=1) for _ in range(doublings)
        )
        self.upsample_acts = nn.ModuleList(PRelu(width) for _ in range(doublings))
        self.tail = nn.Conv2d(width, 3, 9, padding=4)
        self.shuffle = nn.PixelShuffle(2)

    def forward(self, lr: Tensor) -> Tensor:
        """See the class."""
        x = self.head_act(self.head(lr))
        y = x + self.trunk_norm(self.trunk(self.blocks(x)))
        # PReLU, shuffle and the 9x9 tail as figure 4 has them, in the exact rewriting that
        # inference uses: a training step takes a third of the time (docs/decisions/0401).
        last = len(self.upsample) - 1
        for i, (conv, act) in enumerate(zip(self.upsample, self.upsample_acts, strict=True)):
            assert isinstance(act, PRelu)
            y = prelu_before_shuffle(conv(y), act.weight)
            if i < last:
                y = self.shuffle(y)
        y = self.shuffle(tail_before_shuffle(y, self.tail))
        # Leave autocast before the output: bf16 has 8 bits, coarser than an 8-bit picture.
        y = y.to(torch.promote_types(y.dtype, torch.float32))
        return (torch.tanh(y) + 1) / 2

    def hyperparameters(self) -> dict[str, int]:
        """See `Generator`."""
        return self.settings.model_dump(include={"num_blocks", "width"})

    def inference_tensors(self) -> dict[str, np.ndarray]:
        """The weights in inference form (see `weights.inference_form`)."""
        state = {k: v.detach().float().cpu().numpy() for k, v in self.state_dict().items()}
        return fold_srresnet(
            state,
            scale=self.scale,
            num_blocks=self.hyperparameters()["num_blocks"],
            epsilon=BATCH_NORM_EPSILON,
        )

    @classmethod
    def from_inference_tensors(
        cls, tensors: Mapping[str, np.ndarray], *, scale: int, **hyperparameters: Any
    ) -> Self:
        """A network without BatchNorm that computes the same as the inference form."""
        network = cls(scale=scale, norm="none", **hyperparameters)
        unfolded = unfold_srresnet(tensors, scale=scale, num_blocks=hyperparameters["num_blocks"])
        network.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in unfolded.items()})
        return network

    @classmethod
    def from_keras(cls, path: Path) -> Self:
        """The generator in a Keras `.h5` file, with its BatchNorm; `ModelError` for another one."""
        tensors, shape = srresnet_from_keras(path)
        network = cls(scale=shape["scale"], num_blocks=shape["num_blocks"], width=shape["width"])
        state = {key: torch.from_numpy(value.copy()) for key, value in tensors.items()}
        counters = {k: v for k, v in network.state_dict().items() if k.endswith("_tracked")}
        network.load_state_dict(state | counters)
        return network


def _norm(width: int, momentum: float) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=BATCH_NORM_EPSILON, momentum=momentum)
