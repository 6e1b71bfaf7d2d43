"""Everything a run resumes from, in one class: what it holds is what a checkpoint saves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fourfold.errors import ModelError
from fourfold.networks.generator import Generator
from fourfold.training.ema import Ema


@dataclass
class TrainState:
    """Networks, optimisers and counters of a run."""

    generator: Generator
    optimizer_g: torch.optim.Adam
    discriminator: nn.Module | None = None
    optimizer_d: torch.optim.Adam | None = None
    ema: Ema | None = None
    scaler: Any = None
    """Loss scaler of fp16, else None."""
    step: int = 0
    """Steps taken."""
    samples: int = 0
    """Crops consumed: the position in the data."""
    best_psnr: float | None = None
    """Best mean PSNR on Y of a validation so far."""
    best_step: int | None = None
    last_psnr: float | None = None

    @property
    def result(self) -> Generator:
        """The network that is validated and kept: the average where there is one."""
        return self.generator if self.ema is None else self.ema.network  # type: ignore[return-value]

    def tensors(self) -> dict[str, Tensor]:
        """Every tensor by a flat name."""
        found: dict[str, Tensor] = {"rng.torch": torch.get_rng_state()}
        for name, network in self._networks().items():
            found |= {f"{name}.{key}": value for key, value in network.state_dict().items()}
        for name, optimizer in self._optimizers().items():
            for index, values in optimizer.state_dict()["state"].items():
                found |= {f"{name}.{index}.{key}": value for key, value in values.items()}
        return found

    def facts(self) -> dict[str, Any]:
        """Everything else, as JSON values."""
        return {
            "step": self.step,
            "samples": self.samples,
            "best_psnr": self.best_psnr,
            "best_step": self.best_step,
            "last_psnr": self.last_psnr,
            "scaler": self.scaler.state_dict() if self.scaler is not None else None,
        }

    def restore(self, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]) -> None:
        """Take everything back; `ModelError` when the tensors are of another run's shape."""
        optimizers = self._optimizers()
        known = {f"{name}." for name in (*self._networks(), *optimizers)} | {"rng."}
        strange = sorted(k for k in tensors if not any(k.startswith(prefix) for prefix in known))
        if strange:
            raise ModelError(
                f"checkpoint holds {strange[:3]}, which this run's settings do not have"
            )
        for name, network in self._networks().items():
            _load_network(network, _below(tensors, name), name)
        for name, optimizer in optimizers.items():
            _load_optimizer(optimizer, _below(tensors, name))
        if self.scaler is not None and facts["scaler"] is not None:
            self.scaler.load_state_dict(facts["scaler"])
        torch.set_rng_state(tensors["rng.torch"])
        self.step, self.samples = facts["step"], facts["samples"]
        self.best_psnr, self.best_step = facts["best_psnr"], facts["best_step"]
        self.last_psnr = facts["last_psnr"]

    def _networks(self) -> dict[str, nn.Module]:
        networks: dict[str, nn.Module] = {"generator": self.generator}
        if self.discriminator is not None:
            networks["discriminator"] = self.discriminator
        if self.ema is not None:
            networks["ema"] = self.ema.network
        return networks

    def _optimizers(self) -> dict[str, torch.optim.Adam]:
        optimizers = {"optimizer_g": self.optimizer_g}
        if self.optimizer_d is not None:
            optimizers["optimizer_d"] = self.optimizer_d
        return optimizers


def _below(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    prefix = f"{name}."
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}


def _load_network(network: nn.Module, tensors: dict[str, Tensor], name: str) -> None:
    try:
        network.load_state_dict(tensors)
    except RuntimeError as error:
        raise ModelError(f"checkpoint does not fit the run's {name}: {error}") from error


def _load_optimizer(optimizer: torch.optim.Adam, tensors: dict[str, Tensor]) -> None:
    state: dict[int, dict[str, Tensor]] = {}
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    for key, value in tensors.items():
        index, _, field = key.partition(".")
        # Moments in their parameter's memory layout: a fused step walks both together.
        like = parameters[int(index)]
        laid = torch.empty_like(like).copy_(value) if value.dim() else value
        state.setdefault(int(index), {})[field] = laid
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": state, "param_groups": groups})


__all__ = ["TrainState"]
