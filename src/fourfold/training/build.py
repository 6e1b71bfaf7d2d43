"""From settings to networks, optimisers, losses and data."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from fourfold.datasets import CropSettings, CropStream, Source, find_sources, open_pairs
from fourfold.errors import ConfigError
from fourfold.losses import PIXEL_LOSSES, ContentLoss
from fourfold.networks.discriminator import Discriminator, discriminator_from_keras
from fourfold.networks.srresnet import SRResNet
from fourfold.networks.vgg import VggFeatures, read_vgg_weights
from fourfold.training.ema import Ema
from fourfold.training.state import TrainState
from fourfold.training.steps import Objective
from fourfold.training.vgg_files import vgg_file
from fourfold.weights.readers.keras import srresnet_from_keras
from fourfold.weights.zoo import get_model

if TYPE_CHECKING:
    from accelerate import Accelerator

    from fourfold.training.config import TrainConfig


@dataclass(frozen=True)
class Start:
    """A generator to go on from."""

    source: str
    generator: SRResNet
    norm: str


def load_start(name: str) -> Start:
    """A generator by bundled name, model file, run folder or Keras `.h5`.

    A model file has its BatchNorm folded into the convolutions, an `.h5` keeps it.

    Raises `ModelNotFound` or `ModelError`; weights that are not finite are refused.
    """
    if Path(name).suffix == ".h5":
        tensors, shape = srresnet_from_keras(Path(name))
        generator = SRResNet(
            scale=shape["scale"], num_blocks=shape["num_blocks"], width=shape["width"]
        )
        state = {key: torch.from_numpy(value.copy()) for key, value in tensors.items()}
        counters = {k: v for k, v in generator.state_dict().items() if k.endswith("_tracked")}
        generator.load_state_dict(state | counters)
        return Start(name, generator, "batch")
    model = get_model(name)
    if model.architecture != "srresnet":
        raise ConfigError(f"--from {name}: want an srresnet, got {model.architecture}")
    generator = SRResNet.from_inference_tensors(
        model.tensors, scale=model.scale, **model.hyperparameters
    )
    return Start(f"{model.name} ({model.sha256[:12]})", generator, "none")


def fit_to_start(config: TrainConfig, start: Start) -> TrainConfig:
    """The config with the start's BatchNorm; `ConfigError` when scale, depth or width differ."""
    wanted = config.model
    for key in ("scale", "num_blocks", "width"):
        got = getattr(start.generator, key)
        if getattr(wanted, key) != got:
            raise ConfigError(
                f"model.{key}={getattr(wanted, key)}: the weights of --from have {got}; "
                f"--set model.{key}={got} or other weights"
            )
    return config.model_copy(update={"model": wanted.model_copy(update={"norm": start.norm})})


def make_state(config: TrainConfig, start: Start | None, accelerator: Accelerator) -> TrainState:
    """Networks and optimisers at step 0, on the device; random weights follow from the seed."""
    torch.manual_seed(config.seed)
    shape = config.model
    generator = SRResNet(
        scale=shape.scale, num_blocks=shape.num_blocks, width=shape.width, norm=shape.norm
    )
    if start is not None:
        generator.load_state_dict(start.generator.state_dict())
    generator = _place(generator, accelerator)
    optimizer_g = _make_optimizer(generator, config)
    state = TrainState(generator, optimizer_g, scaler=accelerator.scaler)
    if config.ema_decay:
        state.ema = Ema(generator, decay=config.ema_decay)
    if config.adversarial:
        state.discriminator = _place(_make_discriminator(config), accelerator)
        state.optimizer_d = _make_optimizer(state.discriminator, config)
    return state


def _make_discriminator(config: TrainConfig) -> Discriminator:
    if not config.gan.discriminator_weights:
        return Discriminator(crop=config.data.crop, width=config.gan.discriminator_width)
    discriminator = discriminator_from_keras(Path(config.gan.discriminator_weights))
    if discriminator.crop != config.data.crop:
        raise ConfigError(
            f"data.crop={config.data.crop}: the discriminator of "
            f"{config.gan.discriminator_weights} wants {discriminator.crop}"
        )
    return discriminator


def _place(network: Any, accelerator: Accelerator) -> Any:
    return network.to(accelerator.device).to(memory_format=torch.channels_last)


def _make_optimizer(network: nn.Module, config: TrainConfig) -> torch.optim.Adam:
    settings = config.optimizer
    return torch.optim.Adam(
        network.parameters(),
        lr=settings.learning_rate,
        betas=settings.betas,
        eps=settings.epsilon,
        fused=True,
    )


def make_objective(config: TrainConfig, accelerator: Accelerator) -> Objective:
    """The generator's loss; reads or downloads VGG weights if it needs them."""
    losses = config.losses
    content = None
    if losses.content_weight:
        content = _place(_make_content_loss(config), accelerator)
    return Objective(
        pixel=PIXEL_LOSSES[losses.pixel],
        pixel_weight=losses.pixel_weight,
        content=content,
        content_weight=losses.content_weight,
        adversarial_weight=losses.adversarial_weight,
    )


def _make_content_loss(config: TrainConfig) -> ContentLoss:
    losses = config.losses
    tensors, preprocessing = None, None
    if losses.content_weights != "random":
        path = vgg_file(losses.content_network, losses.content_weights)
        tensors, preprocessing = read_vgg_weights(path, network=losses.content_network)
    if losses.content_preprocessing != "auto":
        preprocessing = losses.content_preprocessing
    elif tensors is not None and preprocessing is None:
        raise ConfigError(
            f"{losses.content_weights}: does not say what input it wants; "
            "--set losses.content_preprocessing=caffe (Keras, Oxford) or torchvision"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)  # `random` weights are the same after a resume
        features = VggFeatures(
            network=losses.content_network,
            layer=losses.content,
            after_relu=losses.content_relu == "after",
            preprocessing=preprocessing or "caffe",
        )
    if tensors is not None:
        features.load(tensors, source=losses.content_weights)
    return ContentLoss(
        features, distance=losses.content_distance, feature_scale=losses.content_scale
    )


def open_crops(config: TrainConfig, accelerator: Accelerator) -> CropStream:
    """The training crops; pictures are decoded by the first process, the others wait."""
    data, scale = config.data, config.model.scale
    sources: list[Source] = []
    for folder in data.train:
        made = data.degradation == "real"
        sources += find_sources(Path(folder), scale=scale, role="train", made_lr=made)
    with accelerator.main_process_first():
        pairs = open_pairs(
            sources,
            scale=scale,
            min_side=data.crop,
            skip_bad=data.bad_pictures == "skip",
            cache=Path(data.cache) if data.cache else None,
        )
    settings = CropSettings(
        size=data.crop,
        degradation=data.degradation,
        jpeg_probability=data.jpeg_probability,
        jpeg_quality=data.jpeg_quality,
        flips=data.flips,
        turns=data.turns,
        reuse=data.reuse,
    )
    return CropStream(pairs, settings, config.seed)


__all__ = [
    "Start",
    "fit_to_start",
    "load_start",
    "make_objective",
    "make_state",
    "open_crops",
]
