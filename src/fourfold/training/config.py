"""Every setting of a training run: typed, frozen, documented per field, refused when wrong."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from fourfold.errors import ConfigError

Positive = Annotated[int, Field(ge=1)]
Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]


class _Settings(BaseModel):
    """Frozen, no unknown keys, docstrings under the fields become their descriptions."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, use_attribute_docstrings=True, protected_namespaces=()
    )


class ModelConfig(_Settings):
    """The generator."""

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


class DataConfig(_Settings):
    """What the network learns from."""

    train: tuple[str, ...] = ()
    """Folders of pictures: any pictures (low resolution is made), or pairs in the layouts of
    DIV2K, BasicSR or SwinIR. One folder may be given as a plain string."""
    valid: tuple[str, ...] = ()
    """Folders to validate on; empty: no validation."""
    bad_pictures: Literal["stop", "skip"] = "stop"
    """What happens to a picture that cannot be read, is too small or does not fit its partner:
    `stop` names it before the first step; `skip` leaves it out with a warning."""
    crop: Positive = 96
    """Side of the high-resolution crops, a multiple of the scale; 96 in the paper."""
    degradation: Literal["bicubic", "jpeg", "real"] = "bicubic"
    """How low resolution differs from high: `bicubic` (MATLAB's); `jpeg` adds JPEG noise to some
    crops; `real` is a second-order chain of blur, resize, noise and JPEG (Real-ESRGAN)."""
    jpeg_probability: Fraction = 0.5
    """`jpeg`: share of the crops that get JPEG noise."""
    jpeg_quality: tuple[int, int] = (50, 95)
    """`jpeg`: range of the quality."""
    reuse: Positive = 4
    """`real`: samples that share one degraded window, each shifted, mirrored and turned its own
    way, hundreds of samples apart; the chain takes far longer than a cut. 1 shares nothing."""
    flips: bool = True
    """Mirror crops at random."""
    turns: bool = True
    """Turn crops by random quarter turns."""
    cache: str = ""
    """Folder for decoded pictures; empty: the user's cache folder."""
    workers: Positive = 2
    """Threads that cut crops; results do not depend on it."""
    valid_limit: Positive = 10
    """Pictures validated of each folder, the first ones by name."""

    @model_validator(mode="before")
    @classmethod
    def _one_folder(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in ("train", "valid"):
                if isinstance(values.get(key), str):
                    values = {**values, key: (values[key],)}
        return values


class LossConfig(_Settings):
    """What the generator minimises: the weighted sum of pixel, content and adversarial loss."""

    pixel: Literal["mse", "l1", "charbonnier"] = "mse"
    """Difference of pictures, in 8-bit grey levels."""
    pixel_weight: NonNegative = 1.0
    """0 leaves it out (the SRGAN stage)."""
    content: str = "vgg54"
    """VGG layer as the paper names it: vgg54, vgg22, or any vggij (block i, convolution j)."""
    content_weight: NonNegative = 0.0
    """0 leaves it out (the SRResNet stage)."""
    content_network: Literal["vgg16", "vgg19"] = "vgg19"
    """VGG19 in the paper. With VGG16 `vgg54` means its last convolution, vgg53."""
    content_weights: str = ""
    """File with VGG weights (.h5 of Keras, .pth of torchvision, .safetensors); empty: downloaded
    once; `random`: for timing and tests only."""
    content_preprocessing: Literal["auto", "caffe", "torchvision"] = "auto"
    """Input the VGG weights want; `auto` goes by the file."""
    content_relu: Literal["after", "before"] = "after"
    """Features after the ReLU (SRGAN as Keras has it) or before it (ESRGAN, BasicSR)."""
    content_distance: Literal["mse", "l1"] = "mse"
    """Distance of features: `mse` (SRGAN) or `l1` (ESRGAN, BasicSR)."""
    content_scale: Annotated[float, Field(gt=0)] = 12.75
    """Features are divided by it; 12.75 in the paper."""
    adversarial_weight: NonNegative = 0.0
    """Weight of the adversarial loss; 1e-3 in the paper, 0 trains without a discriminator."""


class OptimizerConfig(_Settings):
    """Adam and its learning rate, for the generator and for the discriminator."""

    learning_rate: Annotated[float, Field(gt=0)] = 1e-4
    """Rate at the start (`piecewise`) or at its highest (`cosine`)."""
    betas: tuple[Fraction, Fraction] = (0.9, 0.999)
    """Adam's decay rates."""
    epsilon: Annotated[float, Field(gt=0)] = 1e-7
    """Adam's epsilon; Keras has 1e-7."""
    schedule: Literal["piecewise", "cosine"] = "piecewise"
    """`piecewise`: times `decay` at each of `milestones`. `cosine`: linear warm-up over `warmup`
    steps, then half a cosine down to `final_rate` at the last step."""
    milestones: tuple[int, ...] = ()
    """`piecewise`: steps at which the rate falls."""
    decay: Annotated[float, Field(gt=0)] = 0.1
    """`piecewise`: factor at each milestone."""
    warmup: Annotated[int, Field(ge=0)] = 0
    """Steps of linear warm-up."""
    final_rate: NonNegative = 0.0
    """`cosine`: rate at the last step."""
    clip_norm: NonNegative = 0.0
    """Gradients are scaled down to this norm; 0 leaves them alone."""


class GanConfig(_Settings):
    """The adversarial stage."""

    allow_random_start: bool = False
    """Start the SRGAN stage from random weights; normally a mistake: train SRResNet first."""
    discriminator_weights: str = ""
    """Keras `.h5` of a trained discriminator to start from; empty: a new one."""
    discriminator_width: Positive = 64
    """Channels of a new discriminator's first convolution; 64 in the paper."""
    discriminator_rate: NonNegative = 0.0
    """Learning rate of the discriminator; 0: the generator's."""
    lead_in: Annotated[int, Field(ge=0)] = 0
    """Steps at the start in which only the discriminator learns."""


class HealthConfig(_Settings):
    """When a run warns, and when it steps back."""

    window: Positive = 200
    """Steps over which D(hr) - D(sr) is averaged before it is judged."""
    gap_low: float = 0.02
    """Below: the discriminator has collapsed (it cannot tell pictures apart)."""
    gap_high: float = 0.95
    """Above: the discriminator has won (the generator gets no useful gradient)."""
    drift_limit: NonNegative = 2.0
    """Colour drift against the low resolution, in grey levels."""
    max_bad_steps: Positive = 5
    """Steps in a row with a non-finite loss before the run returns to its last checkpoint."""
    max_rollbacks: Positive = 3
    """Returns before the run gives up."""


class TrainConfig(_Settings):
    """A complete run."""

    name: str = "run"
    """Name of the run and of the model it makes; the folder is runs/<name> unless told."""
    description: str = ""
    """One line about the run, kept in the model file."""
    license: str = "unknown"
    """Licence of the resulting model (SPDX), kept in the model file."""
    steps: Positive
    """Steps in all; a resumed run counts those it has."""
    batch_size: Positive = 16
    """Crops per step, over all processes together."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Every random choice follows from it and the position in the data."""
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Arithmetic of the networks: bf16 is twice as fast on CPUs and GPUs that have it; fp16 needs
    a GPU. Weights and losses stay fp32."""
    device: Literal["auto", "cpu"] = "auto"
    """`auto` takes the GPU where there is one."""
    validate_every: Positive = 1000
    """Steps between validations; each writes a sample picture and may write the model file."""
    checkpoint_every: Positive = 1000
    """Steps between checkpoints."""
    report_every: Positive = 100
    """Steps between lines of the journal."""
    keep_checkpoints: Positive = 3
    """Newest checkpoints kept, beside the best."""
    model_file: Literal["best", "last"] = "best"
    """What model.safetensors holds: the best by PSNR on Y, or the last (a GAN's PSNR falls as its
    textures grow)."""
    ema_decay: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Decay of the moving average of the weights, which is then what is validated and kept;
    0: no average."""
    model: ModelConfig = ModelConfig()
    data: DataConfig = DataConfig()
    losses: LossConfig = LossConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    gan: GanConfig = GanConfig()
    health: HealthConfig = HealthConfig()

    @property
    def adversarial(self) -> bool:
        """Whether a discriminator takes part."""
        return self.losses.adversarial_weight > 0

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        losses, crop, scale = self.losses, self.data.crop, self.model.scale
        if not self.data.train:
            raise ValueError(
                "data.train: want a folder of pictures, got none; --set data.train=DIR"
            )
        if crop % scale:
            raise ValueError(f"data.crop={crop}: want a multiple of model.scale={scale}")
        if self.adversarial and crop < 16:
            raise ValueError(f"data.crop={crop}: the discriminator wants at least 16")
        if losses.content_weight and crop < 16:
            raise ValueError(f"data.crop={crop}: VGG features want at least 16")
        if losses.pixel_weight == losses.content_weight == losses.adversarial_weight == 0:
            raise ValueError("losses: want at least one weight above 0")
        low, high = self.data.jpeg_quality
        if not 1 <= low <= high <= 100:
            raise ValueError(f"data.jpeg_quality={low, high}: want 1 <= low <= high <= 100")
        return self


def parse_config(values: dict[str, Any]) -> TrainConfig:
    """Build a config from nested tables; `ConfigError` names the key and suggests the right one."""
    for path, known in _unknown_keys(values, TrainConfig):
        near = difflib.get_close_matches(path.rsplit(".", 1)[-1], known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
        raise ConfigError(f"unknown setting {path}; {hint}")
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(item) for item in error.errors())) from error


def _explain(item: Any) -> str:
    path = ".".join(str(part) for part in item["loc"])
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    if item["type"] == "missing":
        return f"{path}: want a value, got none"
    return f"{path}: {item['msg'][0].lower()}{item['msg'][1:]}, got {item['input']!r}"


def _unknown_keys(
    values: dict[str, Any], model: type[BaseModel], prefix: str = ""
) -> Iterator[tuple[str, list[str]]]:
    for key, value in values.items():
        field = model.model_fields.get(key)
        if field is None:
            yield f"{prefix}{key}", sorted(model.model_fields)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            if not isinstance(value, dict):
                raise ConfigError(f"{prefix}{key}: want a table of settings, got {value!r}")
            yield from _unknown_keys(value, field.annotation, f"{prefix}{key}.")


def dump_toml(config: TrainConfig) -> str:
    """The complete config as TOML; `parse_config(tomllib.loads(...))` gives it back."""
    import tomli_w

    return tomli_w.dumps(config.model_dump(mode="json", exclude_none=True))


def absolute_folders(config: TrainConfig, base: Path) -> TrainConfig:
    """The same config with its paths made absolute, so that a resumed run finds them."""

    def whole(text: str) -> str:
        return str((base / Path(text).expanduser()).resolve()) if text else text

    data = config.data.model_copy(
        update={
            "train": tuple(whole(folder) for folder in config.data.train),
            "valid": tuple(whole(folder) for folder in config.data.valid),
            "cache": whole(config.data.cache),
        }
    )
    weights = config.losses.content_weights
    losses = config.losses.model_copy(
        update={"content_weights": weights if weights == "random" else whole(weights)}
    )
    gan = config.gan.model_copy(
        update={"discriminator_weights": whole(config.gan.discriminator_weights)}
    )
    return config.model_copy(update={"data": data, "losses": losses, "gan": gan})


__all__ = [
    "DataConfig",
    "GanConfig",
    "HealthConfig",
    "LossConfig",
    "ModelConfig",
    "OptimizerConfig",
    "TrainConfig",
    "absolute_folders",
    "dump_toml",
    "parse_config",
]
