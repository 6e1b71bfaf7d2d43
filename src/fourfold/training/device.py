"""Where a run computes, and how several processes share one batch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from fourfold.errors import ConfigError, MissingExtra

if TYPE_CHECKING:
    from accelerate import Accelerator

    from fourfold.training.config import TrainConfig


def make_accelerator(config: TrainConfig) -> Accelerator:
    """Device, precision and processes of a run.

    Raises `ConfigError` for fp16 without a GPU and for a batch that the processes cannot share.
    """
    try:
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState
    except ImportError as error:
        raise MissingExtra("training", "train") from error
    # Accelerate keeps the precision of the first run of a process; each of our runs has its own.
    AcceleratorState._reset_state()
    precision = "no" if config.precision == "fp32" else config.precision
    on_gpu = config.device != "cpu" and (
        torch.cuda.is_available() or torch.backends.mps.is_available()
    )
    if precision == "fp16" and not on_gpu:
        raise ConfigError('precision = "fp16": wants a GPU, found none; use bf16 or fp32')
    accelerator = Accelerator(cpu=not on_gpu, mixed_precision=precision)
    processes = accelerator.num_processes
    if config.batch_size % processes:
        raise ConfigError(
            f"batch_size={config.batch_size}: want a multiple of {processes} processes"
        )
    return accelerator


def average_gradients(parameters: Iterable[Tensor], accelerator: Accelerator) -> None:
    """Make the gradients of all processes their mean: that of the joined batch.

    One message for the whole network; without DDP's wrappers, since the GAN step calls the
    discriminator twice before it goes back (docs/decisions/0403).
    """
    if accelerator.num_processes == 1:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
    torch.distributed.all_reduce(flat)
    flat /= accelerator.num_processes
    start = 0
    for gradient in gradients:
        gradient.copy_(flat[start : start + gradient.numel()].view_as(gradient))
        start += gradient.numel()


def average(values: Tensor, accelerator: Accelerator) -> Tensor:
    """Mean of a small tensor over the processes."""
    if accelerator.num_processes > 1:
        values = values.clone()
        torch.distributed.all_reduce(values)
        values /= accelerator.num_processes
    return values


__all__ = ["average", "average_gradients", "make_accelerator"]
