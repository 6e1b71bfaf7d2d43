"""What a run leaves behind: journal, TensorBoard, sample pictures, and the line on the screen."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fourfold.errors import OutputError
from fourfold.pictures.images import write_pixels
from fourfold.training.display import Display, Status
from fourfold.training.journal import Journal
from fourfold.training.samples import COLUMNS, labelled, sample_grid

if TYPE_CHECKING:
    from fourfold.metrics.protocol import Scores
    from fourfold.training.validate import Validation


class Monitor:
    """Gathers the losses of steps and reports them; only the main process writes."""

    def __init__(self, run: Path, *, steps: int, display: Display, writes: bool) -> None:
        self.run, self.steps, self.display, self.writes = run, steps, display, writes
        self.journal = Journal(run / "journal.jsonl")
        self.psnr_y: float | None = None
        self._board: Any = None
        self._restart()

    def _restart(self) -> None:
        self._sums: defaultdict[str, float] = defaultdict(float)
        self._count, self._samples = 0, 0
        self._began = time.perf_counter()

    def begin(self, step: int) -> None:
        """Open the journal and TensorBoard to go on after `step`."""
        if self.writes:
            from torch.utils.tensorboard import SummaryWriter

            self.journal.cut_after(step)
            self._board = SummaryWriter(str(self.run), purge_step=step + 1)
        self._restart()

    def after_step(self, losses: Mapping[str, float], *, samples: int) -> None:
        """Take in one step."""
        for name, value in losses.items():
            self._sums[name] += value
        self._count += 1
        self._samples += samples

    def report(self, step: int, *, learning_rate: float) -> None:
        """Write the means since the last report."""
        if not self._count:
            return
        seconds = time.perf_counter() - self._began
        losses = {name: total / self._count for name, total in self._sums.items()}
        rate = self._samples / seconds
        left = (self.steps - step) * seconds / self._count
        if self.writes:
            values = {**losses, "learning_rate": learning_rate, "samples_per_second": rate}
            self.journal.write("report", step=step, **values, seconds=seconds)
            self._scalars("train", values, step)
            self.display.update(Status(step, self.steps, losses, self.psnr_y, rate, left))
        self._restart()

    def validation(self, step: int, found: Validation, bicubic: Mapping[str, Scores]) -> None:
        """Write scores and the sample grid."""
        self.psnr_y = found.psnr_y
        rounded = {name: _rounded(scores) for name, scores in found.scores.items()}
        self.journal.write("validation", step=step, scores=rounded)
        for name, scores in found.scores.items():
            self._scalars(f"valid/{name}", scores._asdict(), step)
            self.display.say(
                f"step {step}: {name} PSNR {scores.psnr_y:.3f} dB (bicubic "
                f"{bicubic[name].psnr_y:.3f}), SSIM {scores.ssim_y:.4f}, drift {scores.drift:.2f}"
            )
        grid = sample_grid(found.samples)
        try:
            write_pixels(grid, self.run / "samples" / f"{step}.png")
        except OutputError as error:  # a full disk must not end the run
            self.event("unsaved", step=step, text=str(error), warning=True)
        tag = f"samples: {', '.join(COLUMNS)}"
        self._to_board("add_image", tag, labelled(grid), step, dataformats="HWC")

    def imitation(self, step: int, psnr: float) -> None:
        """Write how close the network is to its teacher."""
        self.psnr_y = psnr
        self.journal.write("imitation", step=step, psnr_to_teacher=round(psnr, 4))
        self._scalars("valid", {"psnr_to_teacher": psnr}, step)
        self.display.say(f"step {step}: {psnr:.2f} dB to the teacher on lessons held back")

    def event(self, kind: str, *, step: int, text: str, warning: bool = False) -> None:
        """Write and show something that happened."""
        if self.writes:
            self.journal.write(kind, step=step, text=text)
            self.display.say(text, warning=warning)

    def pause(self) -> float:
        """Now; hand it to `go_on` so that time spent on other things does not count as training."""
        return time.perf_counter()

    def go_on(self, paused: float) -> None:
        """Leave out the time since `paused`."""
        self._began += time.perf_counter() - paused

    def close(self) -> None:
        """End TensorBoard's file and the live line."""
        self._to_board("close")
        self.display.close()

    def _scalars(self, group: str, values: Mapping[str, float], step: int) -> None:
        for name, value in values.items():
            self._to_board("add_scalar", f"{group}/{name}", value, step)

    def _to_board(self, call: str, *values: Any, **options: Any) -> None:
        """Tell TensorBoard; once its file cannot be written, no more."""
        if self._board is None:
            return
        try:
            getattr(self._board, call)(*values, **options)
        except OSError as error:
            self._board = None
            text = f"TensorBoard's file cannot be written ({error.strerror}); no more curves there"
            self.display.say(text, warning=True)


def _rounded(scores: Scores) -> dict[str, float]:
    return {name: round(value, 4) for name, value in scores._asdict().items()}


__all__ = ["Monitor"]
