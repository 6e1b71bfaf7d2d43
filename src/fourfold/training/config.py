"""Every setting of a training run: typed, frozen, documented per field, refused when wrong."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, Field, ValidationError, model_validator

from fourfold.errors import ConfigError, did_you_mean
from fourfold.losses.settings import (
    OLD_KEYS,
    TERMS,
    AdversarialTerm,
    ContentTerm,
    LossTerm,
    PixelTerm,
    Term,
    old_key,
    terms_of_table,
)
from fourfold.networks.catalog import CATALOG, DEFAULT_MODEL, ModelConfig, architecture_of
from fourfold.networks.settings import Positive, Settings
from fourfold.training.tables import (
    Fraction,
    GanConfig,
    HealthConfig,
    NonNegative,
    TeacherConfig,
    UsageConfig,
)

logger = logging.getLogger(__name__)


class DataConfig(Settings):
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
    degradation: Literal["bicubic", "jpeg", "real", "mixed"] = "bicubic"
    """How low resolution differs from high: `bicubic` (MATLAB's); `jpeg` adds JPEG noise to some
    crops; `real` is a second-order chain of blur, resize, noise and JPEG (Real-ESRGAN); `mixed`,
    for lessons of a teacher: some of each, some with noise alone, some clean."""
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


class OptimizerConfig(Settings):
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


class TrainConfig(Settings):
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
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "fp32"
    """Arithmetic of the networks: bf16 is twice as fast on CPUs and GPUs that have it; fp16 needs
    a GPU; `auto` tries fp32 and bf16 for a moment. Weights and losses stay fp32."""
    channels_last: bool = True
    """Memory layout of the networks; `precision = "auto"` chooses it too."""
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
    model: ModelConfig = DEFAULT_MODEL
    """The generator; `architecture` says which settings it has."""
    data: DataConfig = DataConfig()
    losses: tuple[LossTerm, ...] = (PixelTerm(distance="mse"),)
    """The terms whose weighted sum the generator minimises."""
    consistency: bool = False
    """Put results through one back-projection step before they are judged, as they are used."""
    optimizer: OptimizerConfig = OptimizerConfig()
    gan: GanConfig = GanConfig()
    teacher: TeacherConfig = TeacherConfig()
    health: HealthConfig = HealthConfig()
    usage: UsageConfig = UsageConfig()

    @property
    def terms(self) -> tuple[Term, ...]:
        """The terms that count: those with a weight above 0."""
        return tuple(term for term in self.losses if term.weight)

    @property
    def adversarial(self) -> bool:
        """Whether a discriminator takes part."""
        return any(isinstance(term, AdversarialTerm) for term in self.terms)

    def term(self, kind: str) -> Term | None:
        """The first term of a kind."""
        return next((term for term in self.losses if term.kind == kind), None)

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        crop, scale = self.data.crop, self.model.scale
        if not self.data.train:
            raise ValueError(
                "data.train: want a folder of pictures, got none; --set data.train=DIR"
            )
        if crop % scale:
            raise ValueError(f"data.crop={crop}: want a multiple of model.scale={scale}")
        for kind, (least, what) in _LEAST.items():
            if crop < least and any(term.kind == kind for term in self.terms):
                raise ValueError(f"data.crop={crop}: {what} at least {least}")
        if not self.terms:
            raise ValueError("losses: want at least one weight above 0")
        if sum(isinstance(term, AdversarialTerm) for term in self.terms) > 1:
            raise ValueError("losses: want at most one adversarial term, got more")
        self._check_teacher()
        low, high = self.data.jpeg_quality
        if not 1 <= low <= high <= 100:
            raise ValueError(f"data.jpeg_quality={low, high}: want 1 <= low <= high <= 100")
        return self

    def _check_teacher(self) -> None:
        teacher, scale = self.teacher, self.model.scale
        if not teacher.model:
            if any(term.target == "teacher" for term in self.terms):
                raise ValueError(
                    "losses: a target of teacher wants a teacher; --set teacher.model="
                )
            if self.data.degradation == "mixed":
                raise ValueError("data.degradation=mixed: for lessons; --set teacher.model=")
        elif self.data.crop > teacher.side * scale:
            raise ValueError(
                f"data.crop={self.data.crop}: want at most {teacher.side * scale}, the lessons of "
                f"teacher.side={teacher.side}"
            )
        if teacher.model and teacher.lessons <= teacher.held_back:
            raise ValueError(
                f"teacher.lessons={teacher.lessons}: want more than teacher.held_back="
                f"{teacher.held_back}"
            )


_LEAST: Final = {
    "adversarial": (16, "the discriminator wants"),
    "content": (16, "VGG features want"),
    "lpips": (16, "VGG features want"),
    "steady": (32, "moved crops want"),
}
"""Smallest crop by kind of term, in pixels of high resolution."""


def parse_config(values: dict[str, Any]) -> TrainConfig:
    """Build a config from nested tables; `ConfigError` names the key and suggests the right one."""
    values = {**values, "losses": new_losses(values["losses"])} if "losses" in values else values
    for path, known in _unknown_keys(values, TrainConfig):
        raise ConfigError(_unknown(path, known))
    try:
        return TrainConfig.model_validate(values)
    except ValidationError as error:
        raise ConfigError("; ".join(_explain(item) for item in error.errors())) from error


def new_losses(values: Any) -> list[Any]:
    """The list of terms, from a list or from the `[losses]` table of version 0.1."""
    if isinstance(values, (list, tuple)):
        return list(values)
    if not isinstance(values, dict):
        raise ConfigError(f"losses: want [[losses]] tables, got {values!r}")
    for key in values:
        if old_key(key) is None:
            raise ConfigError(_unknown(f"losses.{key}", list(OLD_KEYS)))
    terms = terms_of_table(values)
    wanted = "; ".join(f'[[losses]] kind = "{term["kind"]}"' for term in terms)
    logger.warning("[losses] is read as the terms it used to mean; today: %s", wanted)
    return terms


def _unknown(path: str, known: list[str]) -> str:
    hint = did_you_mean(path.rsplit(".", 1)[-1], known) or f"known: {', '.join(known)}"
    return f"unknown setting {path}; {hint}"


def _explain(item: Any) -> str:
    tags = {*CATALOG, *TERMS}
    path = ".".join(str(part) for part in item["loc"] if part not in tags)
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
            continue
        if f"{prefix}{key}" == "losses":
            for index, term in enumerate(value):
                yield from _unknown_keys(term, _term_of(index, term), f"losses.{index}.")
            continue
        table = _table_of(f"{prefix}{key}", field.annotation, value)
        if table is not None:
            if not isinstance(value, dict):
                raise ConfigError(f"{prefix}{key}: want a table of settings, got {value!r}")
            yield from _unknown_keys(value, table, f"{prefix}{key}.")


def _term_of(index: int, values: Any) -> type[Term]:
    kind = values.get("kind") if isinstance(values, dict) else values
    if not isinstance(kind, str) or kind not in TERMS:
        raise ConfigError(f"losses.{index}.kind: want one of {', '.join(TERMS)}, got {kind!r}")
    return TERMS[kind]


def _table_of(path: str, annotation: Any, value: Any) -> type[BaseModel] | None:
    """The settings a key of that name holds, None for a single value."""
    if path == "model":
        name = architecture_of(value)
        if name not in CATALOG:
            wanted = ", ".join(CATALOG)
            raise ConfigError(f"model.architecture: want one of {wanted}, got {name!r}")
        return CATALOG[name].settings
    return (
        annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
    )


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
    losses = tuple(
        term.model_copy(update={"weights": whole(term.weights)})
        if isinstance(term, ContentTerm) and term.weights != "random"
        else term
        for term in config.losses
    )
    gan = config.gan.model_copy(
        update={"discriminator_weights": whole(config.gan.discriminator_weights)}
    )
    named = config.teacher.model
    model = whole(named) if (base / Path(named).expanduser()).exists() else named
    teacher = config.teacher.model_copy(
        update={"model": model, "cache": whole(config.teacher.cache)}
    )
    return config.model_copy(
        update={"data": data, "losses": losses, "gan": gan, "teacher": teacher}
    )


__all__ = [
    "DataConfig",
    "GanConfig",
    "HealthConfig",
    "OptimizerConfig",
    "TeacherConfig",
    "TrainConfig",
    "UsageConfig",
    "absolute_folders",
    "dump_toml",
    "new_losses",
    "parse_config",
]
