"""What `upscale` shows while it works: one bar on stderr, when that is a terminal."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from fourfold.cli.bars import OneBar
from fourfold.cli.lines import one_line

if TYPE_CHECKING:
    from fourfold.jobs.outcome import Progress


class Watch(OneBar):
    """Files, rate and time left of all pictures, or of the film under way; called with reports.

    With `tell` it says before the work which model is taken for one picture or for a film, where
    nobody has named it.
    """

    def __init__(self, files: int, *, tell: bool = False) -> None:
        super().__init__()
        self._files, self._finished = files, 0
        self._tell, self._single, self._told = tell, files == 1, set[str]()
        self._totals: dict[str, int] = {}
        self._done: dict[str, int] = {}
        self._started = time.perf_counter()

    def __call__(self, now: Progress) -> None:
        """A tile or a frame is done."""
        if self._tell and (self._single or now.detail is not None) and now.input not in self._told:
            self._told.add(now.input)
            said = one_line(f"fourfold: {now.input}: {now.model} ({now.why})")
            self.bar.console.print(said, markup=False, highlight=False, soft_wrap=True)
        if now.detail is not None:
            self.bar.update(
                self._task,
                description=one_line(now.input),
                completed=now.done,
                total=now.total,
                state=_film_state(now.detail),
            )
            return
        self._totals[now.input], self._done[now.input] = now.total or 0, now.done
        self._show()

    def finished(self, *, skipped: bool) -> None:
        """An input is over and done with; skipped ones were no work."""
        self._finished += 1
        self._files -= skipped
        if self._totals:
            self._show()

    def _show(self) -> None:
        # Sizes of pictures to come are unknown; they are taken to be like those so far.
        pictures, done = len(self._totals), sum(self._done.values())
        total = sum(self._totals.values()) / pictures * max(self._files, pictures)
        rate = done / (time.perf_counter() - self._started)
        left = clock((total - done) / rate) if done else "unknown time"
        self.bar.update(
            self._task,
            description=f"{self._finished}/{self._files} files",
            completed=done,
            total=total or None,
            state=f"{done / 1e6:.0f} MP  {rate / 1e6:.2f} MP/s  {left} left",
        )


def _film_state(now: Any) -> str:
    if now.stage == "joining":
        return f"{now.frames} frames, writing the file"
    guess = "?" if now.guess is None else f"perhaps {now.guess}"
    total = guess if now.total is None else now.total
    resumed = f" ({now.resumed} from before)" if now.resumed else ""
    return (
        f"{now.frames}/{total} frames{resumed}  {now.fps:.2f} fps  "
        f"{now.megapixels_per_second:.2f} MP/s  {clock(now.seconds_left)} left"
    )


def clock(seconds: float | None) -> str:
    """Hours, minutes and seconds.

    >>> clock(3671.2), clock(None)
    ('1:01:11', 'unknown time')
    """
    if seconds is None:
        return "unknown time"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


__all__ = ["Watch", "clock"]
