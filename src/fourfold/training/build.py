"""From settings to networks, optimisers, losses and data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from fourfold.datasets import CropSettings, CropStream, Source, find_sources, open_pairs
from fourfold.errors import ConfigError
from fourfold.losses import PIXEL_LOSSES, ContentLoss, HighFrequencyLoss
from fourfold.losses.lpips import LpipsLoss
from fourfold.losses.settings import (
    AdversarialTerm,
    ContentTerm,
    DriftTerm,
    HighFrequencyTerm,
    LpipsTerm,
    PixelTerm,
    SteadyTerm,
    Term,
    term_names,
)
from fourfold.losses.steady import SteadyLoss
from fourfold.networks.catalog import FOREIGN_STARTS, make_network, restore_network
from fourfold.networks.discriminator import Discriminator, discriminator_from_keras
from fourfold.networks.generator import Generator
from fourfold.networks.patch_discriminator import PatchDiscriminator
from fourfold.networks.vgg import VggFeatures, read_vgg_weights
from fourfold.training.ema import Ema
from fourfold.training.lessons import LessonStream
from fourfold.training.state import TrainState
from fourfold.training.steps import Objective, WeightedTerm
from fourfold.training.teacher import open_lessons, open_teacher
from fourfold.training.vgg_files import vgg_file
from fourfold.weights.zoo import get_model

if TYPE_CHECKING:
    from accelerate import Accelerator

    from fourfold.training.config import TrainConfig


@dataclass(frozen=True)
class Start:
    """A generator to go on from."""

    source: str
    generator: Generator


def load_start(name: str) -> Start:
    """A generator by bundled name, model file, run folder or a file of another project.

    A model file has its BatchNorm folded into the convolutions, a Keras `.h5` keeps it.

    Raises `ModelNotFound` or `ModelError`; weights that are not finite are refused.
    """
    reader = FOREIGN_STARTS.get(Path(name).suffix)
    if reader is not None:
        return Start(name, reader(Path(name)))
    model = get_model(name)
    return Start(f"{model.name} ({model.sha256[:12]})", restore_network(model))


def fit_to_start(config: TrainConfig, start: Start) -> TrainConfig:
    """The config with what follows the weights (BatchNorm); `ConfigError` when the shape differs."""
    wanted, got = config.model, start.generator.settings
    if wanted.architecture != got.architecture:
        raise ConfigError(
            f"model.architecture={wanted.architecture}: the weights of --from are a "
            f"{got.architecture}; want a config for that or other weights"
        )
    for key, value in got.arguments().items():
        if key not in got.from_weights and getattr(wanted, key) != value:
            raise ConfigError(
                f"model.{key}={getattr(wanted, key)}: the weights of --from have {value}; "
                f"--set model.{key}={value} or other weights"
            )
    return config.model_copy(update={"model": got})


def make_state(config: TrainConfig, start: Start | None, accelerator: Accelerator) -> TrainState:
    """Networks and optimisers at step 0, on the device; random weights follow from the seed."""
    torch.manual_seed(config.seed)
    generator = make_network(config.model)
    if start is not None:
        generator.load_state_dict(start.generator.state_dict())
    layout = {"channels_last": config.channels_last}
    generator = _place(generator, accelerator, **layout)
    optimizer_g = _make_optimizer(generator, config)
    state = TrainState(generator, optimizer_g, scaler=accelerator.scaler)
    if config.ema_decay:
        state.ema = Ema(generator, decay=config.ema_decay)
    if config.adversarial:
        state.discriminator = _place(_make_discriminator(config), accelerator, **layout)
        state.optimizer_d = _make_optimizer(state.discriminator, config)
    return state


def _make_discriminator(config: TrainConfig) -> nn.Module:
    if config.gan.discriminator == "patch":
        return PatchDiscriminator(width=config.gan.discriminator_width)
    if not config.gan.discriminator_weights:
        return Discriminator(crop=config.data.crop, width=config.gan.discriminator_width)
    discriminator = discriminator_from_keras(Path(config.gan.discriminator_weights))
    if discriminator.crop != config.data.crop:
        raise ConfigError(
            f"data.crop={config.data.crop}: the discriminator of "
            f"{config.gan.discriminator_weights} wants {discriminator.crop}"
        )
    return discriminator


def _place(network: Any, accelerator: Accelerator, *, channels_last: bool = True) -> Any:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    return network.to(accelerator.device).to(memory_format=layout)


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
    """The generator's loss; reads or downloads the weights of networks that take part."""
    terms = [
        WeightedTerm(
            name,
            term.weight,
            _target(name, term),
            _make_loss(term, config.seed, accelerator),
        )
        for name, term in zip(term_names(config.terms), config.terms, strict=True)
    ]
    return Objective(tuple(terms), consistency=config.consistency)


def _target(name: str, term: Term) -> str:
    """What a term compares with, by the names of `training.steps`."""
    match term:
        case SteadyTerm():
            return name
        case DriftTerm():
            return "counterpart"
    return term.target


def _make_loss(
    term: Term, seed: int, accelerator: Accelerator
) -> Callable[[Tensor, Tensor], Tensor] | None:
    """The function behind a term; None for the discriminator's opinion."""
    match term:
        case PixelTerm(distance=distance) | DriftTerm(distance=distance):
            return PIXEL_LOSSES[distance]
        case HighFrequencyTerm(distance=distance):
            return HighFrequencyLoss(PIXEL_LOSSES[distance])
        case ContentTerm():
            return _place(_make_content_loss(term, seed), accelerator)
        case LpipsTerm(net=net):
            return _place(LpipsLoss(net), accelerator)
        case SteadyTerm(distance=distance, noise=noise):
            return SteadyLoss(PIXEL_LOSSES[distance], noise)
        case AdversarialTerm():
            return None
    raise AssertionError(f"no loss of the kind {term.kind}")


def _make_content_loss(term: ContentTerm, seed: int) -> ContentLoss:
    tensors, preprocessing = None, None
    if term.weights != "random":
        path = vgg_file(term.network, term.weights)
        tensors, preprocessing = read_vgg_weights(path, network=term.network)
    if term.preprocessing != "auto":
        preprocessing = term.preprocessing
    elif tensors is not None and preprocessing is None:
        raise ConfigError(
            f"{term.weights}: does not say what input it wants; "
            "--set losses.content.preprocessing=caffe (Keras, Oxford) or torchvision"
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # `random` weights are the same after a resume
        features = VggFeatures(
            network=term.network,
            layer=term.layer,
            after_relu=term.relu == "after",
            preprocessing=preprocessing or "caffe",
        )
    if tensors is not None:
        features.load(tensors, source=term.weights)
    return ContentLoss(features, distance=term.distance, feature_scale=term.scale)


def open_crops(
    config: TrainConfig, accelerator: Accelerator, *, progress: Callable[[int, int], None]
) -> CropStream | LessonStream:
    """The training crops; pictures are decoded by the first process, the others wait.

    With a teacher: its lessons, made by the first process as far as they are missing, with
    `progress(done, all)`.
    """
    data, scale, lesson = config.data, config.model.scale, config.teacher
    sources: list[Source] = []
    for folder in data.train:
        made = data.degradation in ("real", "mixed")
        sources += find_sources(Path(folder), scale=scale, role="train", made_lr=made)
    teacher = open_teacher(config) if lesson.model else None
    side = (lesson.side + 2 * lesson.margin) * scale if teacher else data.crop
    with accelerator.main_process_first():
        pairs = open_pairs(
            sources,
            scale=scale,
            min_side=side,
            skip_bad=data.bad_pictures == "skip",
            cache=Path(data.cache) if data.cache else None,
        )
    settings = CropSettings(
        size=data.crop,
        degradation="bicubic" if data.degradation == "mixed" else data.degradation,
        jpeg_probability=data.jpeg_probability,
        jpeg_quality=data.jpeg_quality,
        flips=data.flips,
        turns=data.turns,
        reuse=data.reuse,
    )
    if teacher is None:
        return CropStream(pairs, settings, config.seed)
    with accelerator.main_process_first():
        return open_lessons(config, teacher, pairs, settings, progress)


__all__ = [
    "Start",
    "fit_to_start",
    "load_start",
    "make_objective",
    "make_state",
    "open_crops",
]
