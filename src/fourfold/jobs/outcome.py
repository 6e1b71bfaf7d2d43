"""What will become of a request, how far it is, and what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """One report of a request under way, after every tile or frame."""

    input: str
    stage: Literal["upscaling", "joining"]
    done: int
    """Pixels of the network's result so far; frames of a film."""
    total: int | None
    """None while nobody knows (films whose length is not said)."""
    seconds: float
    """Since the network began."""
    seconds_left: float | None
    model: str = ""
    why: str = ""
    """What it runs on, and why."""
    detail: Any = None
    """Films: the `jobs.films.progress.Progress` behind it."""

    @property
    def share(self) -> float | None:
        """0 to 1."""
        return None if self.total is None else min(1.0, self.done / max(self.total, 1))


Report = Callable[[Progress], None]


class Ticks:
    """Counts the pixels of one picture and reports."""

    def __init__(
        self, name: str, total: int, report: Report | None, *, model: str, why: str
    ) -> None:
        self._name, self._total, self._report = name, total, report
        self._model, self._why = model, why
        self._done, self._started = 0, time.perf_counter()
        self(0)

    def __call__(self, pixels: int) -> None:
        """So many more are computed."""
        self._done += pixels
        if self._report is None:
            return
        seconds = time.perf_counter() - self._started
        left = seconds / self._done * (self._total - self._done) if self._done else None
        self._report(
            Progress(
                input=self._name,
                stage="upscaling",
                done=self._done,
                total=self._total,
                seconds=seconds,
                seconds_left=left,
                model=self._model,
                why=self._why,
            )
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a request would do; nothing has been written."""

    input: str
    path: Path | None
    """Of the result; None for standard output and bytes."""
    width: int
    height: int
    """Of a page or frame."""
    count: int | None
    """Pages of a picture or frames of a film; None while nobody knows."""
    shown: tuple[int, int]
    """Width and height players show of a film: turned, and with square pixels."""
    guess: int | None = None
    """Frames there may be, by the size of a film that states no length."""
    seconds: float | None
    """About how long it takes on this machine; None while nobody knows."""
    megapixels_per_second: float
    model: str
    why: str
    exists: str | None = None
    """What is said of a result that stands there already; None where there is none."""
    notes: tuple[str, ...] = ()
    """What will not be kept, and why."""
    is_film: bool = False

    @property
    def pixels(self) -> int | None:
        """Of the whole result."""
        return None if self.count is None else self.width * self.height * self.count

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        film = {"shown": list(self.shown), "frames": self.count, "guessed_frames": self.guess}
        return {
            "input": self.input,
            "output": None if self.path is None else str(self.path),
            "status": "planned",
            "reason": self.exists,
            "width": self.width,
            "height": self.height,
            **(film if self.is_film else {"pages": self.count}),
            "pixels": self.pixels,
            "seconds": None if self.seconds is None else round(self.seconds, 3),
            "megapixels_per_second": round(self.megapixels_per_second, 3),
            "model": self.model,
            "why": self.why,
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one input."""

    input: str
    status: Literal["done", "skipped", "failed"]
    path: Path | None = None
    """Of the result; None for standard output and bytes."""
    content: bytes | None = field(default=None, repr=False)
    """The result itself, where the source was bytes and no target was named."""
    reason: str | None = None
    """Why it was skipped or failed. A film that is damaged fails with a `path`: what could be
    read of it is kept."""
    width: int = 0
    height: int = 0
    pages: int = 1
    is_film: bool = False
    frames: int | None = None
    """Films that were done only, as the next three."""
    shown: tuple[int, int] = (0, 0)
    """Width and height players show: turned, and with square pixels."""
    resumed: int = 0
    """Frames an earlier, interrupted run had finished."""
    repeated: int = 0
    """Frames equal to the one before."""
    seconds: float = 0.0
    """Of work on this input: decoding, network and encoding; they overlap with other inputs'."""
    model: str = ""
    why: str = ""
    notes: tuple[str, ...] = ()
    """What could not be kept, and why."""

    @property
    def output(self) -> str | None:
        """The path as text."""
        return None if self.path is None else str(self.path)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the result."""
        return self.width, self.height

    @property
    def damage(self) -> str | None:
        """What of a film could not be used, where the rest of it has been enlarged."""
        return self.reason if self.status == "failed" and self.path is not None else None

    @property
    def megapixels(self) -> float:
        """Computed in this run, all pages or frames."""
        count = self.pages if self.frames is None else self.frames - self.resumed
        return self.width * self.height * count / 1e6

    @property
    def megapixels_per_second(self) -> float:
        """Output rate, everything included."""
        return self.megapixels / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For `--json`; null stands for what is not known of an input that was not done."""
        done = self.status == "done" or self.damage is not None
        film = {
            "shown": list(self.shown) if done else None,
            "frames": self.frames,
            "resumed_frames": self.resumed,
            "repeated_frames": self.repeated,
        }
        return {
            "input": self.input,
            "output": self.output,
            "status": self.status,
            "reason": self.reason,
            "width": self.width or None,
            "height": self.height or None,
            **(film if self.is_film else {"pages": self.pages if done else None}),
            "seconds": round(self.seconds, 3),
            "megapixels_per_second": round(self.megapixels_per_second, 3),
            "model": self.model or None,
            "why": self.why or None,
            "notes": list(self.notes),
        }


__all__ = ["Outcome", "Plan", "Progress", "Report", "Ticks"]
