"""What training minimises: a weighted sum of terms."""

from fourfold.losses.adversarial import discriminator_loss, generator_adversarial
from fourfold.losses.content import ContentLoss
from fourfold.losses.frequency import HighFrequencyLoss
from fourfold.losses.pixel import PIXEL_LOSSES

__all__ = [
    "PIXEL_LOSSES",
    "ContentLoss",
    "HighFrequencyLoss",
    "discriminator_loss",
    "generator_adversarial",
]
