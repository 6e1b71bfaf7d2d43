"""A chain of 3x3 convolutions on top of nearest-neighbour enlargement: small and fast.

Everything happens at low resolution; one pixel shuffle makes the result. It is the shape of
Real-ESRGAN's compact networks (SRVGGNetCompact) with the activation of SRResNet.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any, Final, Literal, Self

import numpy as np
import torch
from torch import Tensor, nn

from fourfold.networks.generator import Generator
from fourfold.networks.rewritten import PRelu
from fourfold.networks.settings import NetworkSettings, Positive
from fourfold.weights.graph import Add, Conv, Graph, Node, Resize, Shuffle
from fourfold.weights.graph import PRelu as PReluNode

TAIL_SPREAD: Final = 1e-3
"""Standard deviation of the last kernel at the start: the network begins as its skip, so that the
first steps learn details and not what the picture is."""

DIRAC_SPREAD: Final = 0.3
"""Of the noise around the identity, as a share of what keeps the variance."""

INITIAL_SLOPE: Final = 0.25
"""Of negative values, as torch's PReLU begins."""


class PlainSettings(NetworkSettings):
    """A plain chain of convolutions."""

    architecture: Literal["plain"] = "plain"
    """Family of the network."""
    scale: Literal[2, 3, 4, 8] = 4
    """How many times larger the result is."""
    width: Positive = 48
    """Channels; multiples of 16 run best."""
    depth: Positive = 8
    """Convolutions from `width` to `width` channels, between the first and the last."""


class Plain(Generator):
    """Head 3 to width, `depth` convolutions of width, each with PReLU; tail to 3 * scale^2.

    Args:
        scale, width, depth: see `PlainSettings`.
    """

    def __init__(self, *, scale: int = 4, width: int = 48, depth: int = 8) -> None:
        super().__init__()
        self.settings = PlainSettings.model_validate(
            {"scale": scale, "width": width, "depth": depth}
        )
        inner = [3] + [width] * depth
        self.body = nn.ModuleList(nn.Conv2d(n, width, 3, padding=1) for n in inner)
        self.acts = nn.ModuleList(PRelu(width, init=INITIAL_SLOPE) for _ in inner)
        self.tail = nn.Conv2d(width, 3 * scale**2, 3, padding=1)
        self.shuffle = nn.PixelShuffle(scale)
        for conv in self.body:
            assert isinstance(conv, nn.Conv2d)
            _pass_on(conv)
        nn.init.normal_(self.tail.weight, std=TAIL_SPREAD)
        _zero(self.tail)

    def forward(self, lr: Tensor) -> Tensor:
        """See `Generator`."""
        x = lr
        for conv, act in zip(self.body, self.acts, strict=True):
            x = act(conv(x))
        y = self.tail(x)
        y = y.to(torch.promote_types(y.dtype, torch.float32))
        # Nearest enlargement is, before the shuffle, each colour scale^2 times.
        return self.shuffle(y + lr.repeat_interleave(self.scale**2, dim=1))

    def hyperparameters(self) -> dict[str, int]:
        """See `Generator`."""
        return self.settings.model_dump(include={"width", "depth"})

    def inference_tensors(self) -> dict[str, np.ndarray]:
        """See `Generator`."""
        state = {k: v.detach().float().cpu().numpy() for k, v in self.state_dict().items()}
        return {_inference_name(name): value for name, value in state.items()}

    @classmethod
    def from_inference_tensors(
        cls, tensors: Mapping[str, np.ndarray], *, scale: int, **hyperparameters: Any
    ) -> Self:
        """See `Generator`."""
        network = cls(scale=scale, **hyperparameters)
        names = {name: _inference_name(name) for name in network.state_dict()}
        network.load_state_dict({n: torch.from_numpy(tensors[i].copy()) for n, i in names.items()})
        return network


def _pass_on(conv: nn.Conv2d) -> None:
    """Begin as the identity with a little noise (Zagoruyko and Komodakis 2017, DiracNets).

    A chain without skips then learns as if it had them: after 1000 steps of 16 crops a network of
    48 x 10 reached 30.70 dB on Set5, one begun as He et al. 2015 do 30.63 after 3000.
    """
    nn.init.normal_(conv.weight, std=DIRAC_SPREAD / (9 * conv.out_channels) ** 0.5)
    with torch.no_grad():
        conv.weight += nn.init.dirac_(torch.empty_like(conv.weight))
    _zero(conv)


def _zero(conv: nn.Conv2d) -> None:
    assert conv.bias is not None
    nn.init.zeros_(conv.bias)


def _inference_name(name: str) -> str:
    """`acts.3.weight` is the slope of `body.3`."""
    return name.replace("acts.", "body.").replace("weight", "slope") if "acts." in name else name


def plain_graph(*, scale: int, width: int, depth: int) -> Graph:
    """The network as operations."""
    del width  # the tensors carry it
    nodes: list[Node] = []
    value = "lr"
    for i in range(depth + 1):
        name = f"body.{i}"
        nodes += [
            Conv((value,), f"{name}.conv", name),
            PReluNode((f"{name}.conv",), f"{name}.out", name),
        ]
        value = f"{name}.out"
    nodes += [
        Conv((value,), "tail.conv", "tail"),
        Shuffle(("tail.conv",), "residual", scale),
        Resize(("lr",), "base", "nearest", Fraction(scale)),
        Add(("residual", "base"), "sr"),
    ]
    return Graph(("lr",), ("sr",), tuple(nodes))


__all__ = ["Plain", "PlainSettings", "plain_graph"]
