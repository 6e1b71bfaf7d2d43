"""Says early when a run goes wrong, and what to do about it."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from fourfold.metrics.protocol import Scores
    from fourfold.training.config import HealthConfig


class Health:
    """Watches losses and scores; its methods return warnings, each said once per window."""

    def __init__(self, settings: HealthConfig) -> None:
        self.settings = settings
        self._gaps: deque[float] = deque(maxlen=settings.window)
        self._bad_steps = 0

    def after_step(self, losses: Mapping[str, float]) -> list[str]:
        """Judge the balance of the two networks over the last window."""
        self._bad_steps = 0
        if "d_hr" not in losses:
            return []
        self._gaps.append(losses["d_hr"] - losses["d_sr"])
        if len(self._gaps) < self.settings.window:
            return []
        gap = float(np.mean(self._gaps))
        warnings = []
        if gap > self.settings.gap_high:
            warnings.append(
                f"the discriminator wins: D(hr) - D(sr) = {gap:.2f} over {len(self._gaps)} steps; "
                "lower gan.discriminator_rate (half of the generator's) or start from a better "
                "trained SRResNet"
            )
        elif gap < self.settings.gap_low:
            warnings.append(
                f"the discriminator has collapsed: D(hr) - D(sr) = {gap:.2f} over "
                f"{len(self._gaps)} steps; raise gan.discriminator_rate or set gan.lead_in=500"
            )
        if warnings:
            self._gaps.clear()
        return warnings

    def after_bad_step(self) -> bool:
        """Count a step with a non-finite loss; whether it is time to go back to a checkpoint."""
        self._bad_steps += 1
        return self._bad_steps >= self.settings.max_bad_steps

    def after_rollback(self) -> None:
        """Start counting anew."""
        self._bad_steps = 0
        self._gaps.clear()

    def after_validation(
        self, scores: Mapping[str, Scores], bicubic: Mapping[str, Scores]
    ) -> list[str]:
        """Compare with the low resolution's colours and with bicubic."""
        warnings = []
        for name, score in scores.items():
            if score.drift > self.settings.drift_limit:
                warnings.append(
                    f"{name}: colours drift by {score.drift:.1f} of 255; give the pixel loss some "
                    "weight (losses.pixel.weight); `fourfold upscale` corrects it, unless --no-consistency"
                )
            if score.psnr_y < bicubic[name].psnr_y:
                warnings.append(
                    f"{name}: PSNR {score.psnr_y:.2f} dB is below bicubic's "
                    f"{bicubic[name].psnr_y:.2f}; normal in the first steps from random weights, "
                    "otherwise lower optimizer.learning_rate or losses.adversarial.weight"
                )
        return warnings


__all__ = ["Health"]
