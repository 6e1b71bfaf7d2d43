"""`precision = "auto"`: a short trial of what is fastest here for this network.

Which arithmetic and which memory layout win differs between processors and even between networks,
so neither is chosen by rule.
"""

from __future__ import annotations

import logging
import os
import time
from typing import TYPE_CHECKING, Final

import torch

from fourfold.networks.catalog import make_network

if TYPE_CHECKING:
    from fourfold.training.config import TrainConfig

logger = logging.getLogger(__name__)

_WAYS: Final = (("fp32", False), ("fp32", True), ("bf16", True))
_STEPS: Final = 3


def settle_precision(config: TrainConfig, before: TrainConfig | None) -> TrainConfig:
    """The config with a precision and a memory layout; those of `before` when a run goes on."""
    if config.precision != "auto":
        return config
    if before is not None:
        return _with(config, before.precision, channels_last=before.channels_last)
    if config.device != "cpu" and torch.cuda.is_available():
        precision = "bf16" if torch.cuda.is_bf16_supported() else "fp32"
        return _with(config, precision, channels_last=True)
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:  # each process would find its own
        return _with(config, "fp32", channels_last=True)
    seconds = _try_all(config)
    best = min(seconds, key=seconds.__getitem__)
    times = ", ".join(
        f"{precision}{' channels last' if last else ''} {value:.3f} s"
        for (precision, last), value in seconds.items()
    )
    logger.info("precision auto: %s; a step took %s", best[0], times)
    return _with(config, best[0], channels_last=best[1])


def _with(config: TrainConfig, precision: str, *, channels_last: bool) -> TrainConfig:
    return config.model_copy(update={"precision": precision, "channels_last": channels_last})


def _try_all(config: TrainConfig) -> dict[tuple[str, bool], float]:
    """Fewest seconds of a step of the generator with L1, each way in turn."""
    side, scale = config.data.crop // config.model.scale, config.model.scale
    with torch.random.fork_rng(devices=[]):
        network = make_network(config.model).train()
        lr = torch.rand(config.batch_size, 3, side, side)
        hr = torch.rand(config.batch_size, 3, side * scale, side * scale)
    seconds = dict.fromkeys(_WAYS, float("inf"))
    for turn in range(_STEPS + 1):
        for precision, last in _WAYS:
            layout = torch.channels_last if last else torch.contiguous_format
            network.to(memory_format=layout)  # type: ignore[call-overload]
            images = [image.contiguous(memory_format=layout) for image in (lr, hr)]
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
                loss = (network(images[0]) - images[1]).abs().mean()
            loss.backward()
            network.zero_grad()
            if turn:  # the first is for warming up
                found = time.perf_counter() - started
                seconds[precision, last] = min(seconds[precision, last], found)
    return seconds


__all__ = ["settle_precision"]
