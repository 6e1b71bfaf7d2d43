"""Worker of test_two_processes: gradients of one joined batch, saved by the first process."""

from __future__ import annotations

import sys
from pathlib import Path

import torch
from safetensors.torch import save_file

from fourfold.losses import discriminator_loss
from fourfold.training.build import make_objective, make_state, open_crops
from fourfold.training.device import average_gradients, make_accelerator
from fourfold.training.loop import _to_device
from fourfold.training.recipes import load_config
from fourfold.training.steps import generator_losses


def main(photos: str, cache: str, out: str) -> None:
    config = load_config(
        "tiny",
        changes=[
            f"data.train={photos}",
            f"data.cache={cache}",
            "data.crop=32",
            "device=cpu",
            "model.num_blocks=2",
            "model.width=8",
            "losses.adversarial_weight=1e-3",
            "losses.content_weight=1.0",
            "losses.content=vgg22",
            "losses.content_weights=random",
            "gan.discriminator_width=4",
        ],
    )
    accelerator = make_accelerator(config)
    objective = make_objective(config, accelerator)
    state = make_state(config, None, accelerator)
    crops = open_crops(config, accelerator, progress=lambda _done, _all: None)
    batch = crops.batch(
        0, size=4, rank=accelerator.process_index, processes=accelerator.num_processes
    )
    # float64, so that what is compared is the sum over processes and not the order of additions
    lr, hr = (_to_device(pixels, accelerator, channels_last=True).double() for pixels in batch)
    contents = [term.loss for term in objective.terms if isinstance(term.loss, torch.nn.Module)]
    for network in (state.generator, state.discriminator, *contents):
        network.double().eval()  # BatchNorm frozen
    sr = state.generator(lr)
    real, fake = state.discriminator(hr), state.discriminator(sr)
    total = generator_losses(sr, {"hr": hr}, fake, objective).total
    for network, loss in (
        (state.generator, total),
        (state.discriminator, discriminator_loss(real, fake)),
    ):
        parameters = list(network.parameters())
        accelerator.backward(loss, inputs=parameters, retain_graph=True)
        average_gradients(parameters, accelerator)
    if accelerator.is_main_process:
        networks = {"g": state.generator, "d": state.discriminator}
        gradients = {
            f"{kind}.{name}": parameter.grad.contiguous()
            for kind, network in networks.items()
            for name, parameter in network.named_parameters()
        }
        gradients["processes"] = torch.tensor(accelerator.num_processes)
        save_file(gradients, Path(out))


if __name__ == "__main__":
    main(*sys.argv[1:])
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
