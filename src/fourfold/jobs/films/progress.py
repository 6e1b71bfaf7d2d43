"""How far the work is, how fast it goes and when it will be done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from fourfold.engine.upscaler import Upscaler
from fourfold.films.probe import VideoInfo
from fourfold.imaging.yuv import Yuv
from fourfold.jobs.films.frames import enlarge

_TRIAL_SIDE: Final = 128
_TRUSTED_FRAMES: Final = 3
"""Frames after which the measured speed replaces the trial's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One report; a callback gets the first before the first frame is done."""

    stage: Literal["upscaling", "joining"]
    frames: int
    """Done so far, those of earlier runs included."""
    total: int | None
    """Frames to do, None while nobody knows."""
    guess: int | None
    """Frames there may be, by the size of the file; None where `total` says."""
    resumed: int
    """Frames an earlier run has finished."""
    repeated: int
    """Frames equal to the one before, which cost nothing."""
    fps: float
    """Result frames a second in this run."""
    megapixels_per_second: float
    seconds: float
    """Since this run began."""
    seconds_left: float | None
    """From `total`, else from `guess`; None without either."""


Report = Callable[[Progress], None]


class Meter:
    """Counts frames and reports."""

    def __init__(
        self,
        *,
        pixels: int,
        total: int | None,
        resumed: int,
        trial_fps: float,
        report: Report,
        guess: int | None = None,
    ) -> None:
        self._pixels, self._total, self._resumed = pixels, total, resumed
        self._guess = guess
        self._trial_fps, self._report = trial_fps, report
        self._started = time.perf_counter()
        self._done = self._repeated = 0

    def start(self) -> None:
        """The first report, before any frame."""
        self._say("upscaling")

    def frame(self, *, repeated: bool) -> None:
        """One more frame is enlarged, or is the same as the one before."""
        self._done += 1
        self._repeated += repeated
        self._say("upscaling")

    def joining(self) -> None:
        """All frames are done, the file is being put together."""
        self._total = self._resumed + self._done
        self._say("joining")

    def _say(self, stage: Literal["upscaling", "joining"]) -> None:
        seconds = time.perf_counter() - self._started
        measured = self._done >= _TRUSTED_FRAMES
        fps = self._done / max(seconds, 1e-9) if measured else self._trial_fps
        frames = self._resumed + self._done
        total = self._guess if self._total is None else self._total
        left = None if total is None else max(0, total - frames) / max(fps, 1e-9)
        self._report(
            Progress(
                stage=stage,
                frames=frames,
                total=None if self._total is None else max(self._total, frames),
                guess=None if self._total is not None else self._guess,
                resumed=self._resumed,
                repeated=self._repeated,
                fps=fps,
                megapixels_per_second=fps * self._pixels / 1e6,
                seconds=seconds,
                seconds_left=left,
            )
        )


def trial_speed(upscaler: Upscaler, info: VideoInfo, yuv: Yuv | None) -> float:
    """Frames of `info` a second, from a small window of noise: well under a second's work.

    With an engine of `Upscaler.for_frames` what is compiled here is what the film runs on.
    """
    side_y, side_x = min(_TRIAL_SIDE, info.height), min(_TRIAL_SIDE, info.width)
    kind = np.uint8 if info.depth == 8 else np.uint16
    noise = np.random.default_rng(0).integers(0, 255, (side_y, side_x, 3)).astype(kind)
    enlarge(upscaler, noise[:16, :16], yuv)  # opens the network
    started = time.perf_counter()
    enlarge(upscaler, noise, yuv)
    seconds = (time.perf_counter() - started) / upscaler.lanes
    return side_y * side_x / (info.width * info.height) / max(seconds, 1e-9)


__all__ = ["Meter", "Progress", "Report", "trial_speed"]
