"""What training, validation and the benchmark ask of any network that enlarges pictures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from torch import Tensor, nn

from fourfold.networks.settings import NetworkSettings


class Generator(nn.Module):
    """RGB in [0, 1], `(N, 3, H, W)`, to RGB around [0, 1], `(N, 3, H * scale, W * scale)`.

    The output is float32 (or wider) also under autocast: bf16 is coarser than an 8-bit picture.
    """

    settings: NetworkSettings
    """What it was made from."""

    @property
    def scale(self) -> int:
        """How many times larger the result is."""
        return self.settings.scale

    @abstractmethod
    def forward(self, lr: Tensor) -> Tensor:
        """See the class."""

    @abstractmethod
    def hyperparameters(self) -> dict[str, int]:
        """What a model file stores beside the scale: arguments of the graph's function."""

    @abstractmethod
    def inference_tensors(self) -> dict[str, np.ndarray]:
        """The weights by the names of the graph's tensors, float32."""

    @classmethod
    @abstractmethod
    def from_inference_tensors(
        cls, tensors: Mapping[str, np.ndarray], *, scale: int, **hyperparameters: Any
    ) -> Self:
        """A network that computes the same as the inference form."""


__all__ = ["Generator"]
