"""What a person sees while a run goes on: a live line on a terminal, log lines elsewhere."""

from __future__ import annotations

import logging
from typing import Any, NamedTuple, Protocol

logger = logging.getLogger(__name__)


class Status(NamedTuple):
    """A run at a glance."""

    step: int
    steps: int
    losses: dict[str, float]
    psnr_y: float | None
    samples_per_second: float
    seconds_left: float

    def text(self) -> str:
        """One line."""
        shown = [f"step {self.step}/{self.steps}"]
        names = {"generator": "G", "discriminator": "D", "d_hr": "D(hr)", "d_sr": "D(sr)"}
        shown += [f"{names[k]} {v:.4g}" for k, v in self.losses.items() if k in names]
        if self.psnr_y is not None:
            shown.append(f"PSNR {self.psnr_y:.2f}")
        shown += [f"{self.samples_per_second:.1f} samples/s", f"{_clock(self.seconds_left)} left"]
        return "  ".join(shown)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


class Display(Protocol):
    """Shows a run."""

    def update(self, status: Status) -> None:
        """Show the state after a report."""

    def say(self, text: str, *, warning: bool = False) -> None:
        """Show a line that stays."""

    def close(self) -> None:
        """End the live part."""


class LogDisplay:
    """Lines through `logging`."""

    def update(self, status: Status) -> None:
        """Log the line."""
        logger.info("%s", status.text())

    def say(self, text: str, *, warning: bool = False) -> None:
        """Log it."""
        logger.log(logging.WARNING if warning else logging.INFO, "%s", text)

    def close(self) -> None:
        """Nothing to end."""


class RichDisplay:
    """A live line on a terminal, plain lines on anything else; both on standard error."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._task: Any = None
        self._progress = Progress(
            BarColumn(bar_width=20), TextColumn("{task.description}"), console=self._console
        )

    def update(self, status: Status) -> None:
        """Move the line."""
        if not self._console.is_terminal:
            self._console.print(status.text(), markup=False)
            return
        if self._task is None:
            self._progress.start()
            self._task = self._progress.add_task("", total=status.steps)
        self._progress.update(self._task, completed=status.step, description=status.text())

    def say(self, text: str, *, warning: bool = False) -> None:
        """Print above the line."""
        self._console.print(f"warning: {text}" if warning else text, markup=False)

    def close(self) -> None:
        """Leave the last state of the line."""
        if self._task is not None:
            self._progress.stop()


__all__ = ["Display", "LogDisplay", "RichDisplay", "Status"]
