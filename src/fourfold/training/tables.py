"""Tables of a run's config that belong to its further actors: discriminator, teacher, user, watch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fourfold.networks.settings import Positive, Settings

Fraction = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]


class GanConfig(Settings):
    """The adversarial stage."""

    allow_random_start: bool = False
    """Start the SRGAN stage from random weights; normally a mistake: train SRResNet first."""
    discriminator: Literal["srgan", "patch"] = "srgan"
    """`srgan`: the paper's, which judges whole crops; `patch`: a small one that judges patches."""
    discriminator_weights: str = ""
    """Keras `.h5` of a trained discriminator to start from; empty: a new one."""
    discriminator_width: Positive = 64
    """Channels of a new discriminator's first convolution; 64 in the paper, 32 does for `patch`."""
    discriminator_rate: NonNegative = 0.0
    """Learning rate of the discriminator; 0: the generator's."""
    lead_in: Annotated[int, Field(ge=0)] = 0
    """Steps at the start in which only the discriminator learns."""


class TeacherConfig(Settings):
    """A network to learn from: distillation."""

    model: str = ""
    """Whatever `fourfold upscale -n` takes: a name, a file, a run folder. Empty: no teacher."""
    tta: bool = False
    """The teacher averages 8 flips and turns: better lessons, 8 times the time to make them."""
    texture: Literal["off"] | Fraction = "off"
    """`off`, or the blend of the bundled networks, 0 to 1."""
    consistency: Literal["auto"] | bool = "auto"
    """Whether the teacher's results go through back-projection; `auto`: as its file says."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Arithmetic of the teacher; `auto` is the fastest here."""
    lessons: Positive = 1600
    """Crops that the teacher enlarges, once; a run cuts smaller ones out of them."""
    side: Annotated[int, Field(ge=8, le=1024)] = 96
    """Side of a lesson, in low-resolution pixels."""
    margin: Annotated[int, Field(ge=0, le=128)] = 8
    """Low-resolution pixels around a lesson that the teacher sees and that are not kept."""
    held_back: Positive = 16
    """Lessons that nothing is learned from, to measure how well the teacher is imitated."""
    cache: str = ""
    """Folder for lessons; empty: the user's cache folder."""
    cache_gb: Annotated[float, Field(gt=0)] = 4.0
    """Most that the lessons of a run may take on disk, in GB; there are fewer if need be."""


class UsageConfig(Settings):
    """What the model file says about its use; `auto` goes by the degradation it learned to undo."""

    purpose: Literal["auto", "clean", "photo"] = "auto"
    """`clean`: for pictures without noise and compression; `photo`: removes both."""
    consistency: Literal["auto"] | bool = "auto"
    """Whether results are made to agree with their input, which brings back its noise."""
    shave: Annotated[int, Field(ge=0, le=64)] = 5
    """Low-resolution pixels mirrored around the picture and cut off again, since the network gets
    wrong what lies at its edges."""


class HealthConfig(Settings):
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


__all__ = ["Fraction", "GanConfig", "HealthConfig", "NonNegative", "TeacherConfig", "UsageConfig"]
