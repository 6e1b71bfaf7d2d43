"""What training minimises: pixel, content and adversarial losses."""

from fourfold.losses.adversarial import discriminator_loss, generator_adversarial
from fourfold.losses.content import ContentLoss
from fourfold.losses.pixel import PIXEL_LOSSES

__all__ = ["PIXEL_LOSSES", "ContentLoss", "discriminator_loss", "generator_adversarial"]
