"""What `upscale` shows while it works: one bar on stderr, when that is a terminal."""

from __future__ import annotations

import threading
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text


class Watch:
    """Files, megapixels, rate and time left; a `Watcher` of `jobs.pipeline`."""

    def __init__(self, files: int) -> None:
        console = Console(stderr=True)
        columns = (
            TextColumn("{task.fields[files]}/" + str(files) + " files"),
            BarColumn(),
            TextColumn("{task.fields[megapixels]:.0f} MP  {task.fields[rate]:.2f} MP/s"),
            _TimeLeft(),
        )
        self.progress = Progress(
            *columns, console=console, transient=True, disable=not console.is_terminal
        )
        self._files, self._finished = files, 0
        self._planned, self._pictures, self._done = 0, 0, 0
        self._started = time.perf_counter()
        self._lock = threading.Lock()
        self._task = self.progress.add_task(
            "", total=None, files=0, megapixels=0.0, rate=0.0, left=None
        )

    def __enter__(self) -> Watch:
        self.progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.progress.stop()

    def planned(self, pixels: int) -> None:
        """A picture begins."""
        with self._lock:
            self._planned += pixels
            self._pictures += 1
        self._show()

    def enlarged(self, pixels: int) -> None:
        """More pixels are computed."""
        with self._lock:
            self._done += pixels
        self._show()

    def finished(self, *, skipped: bool) -> None:
        """An input is over and done with; skipped ones were no work."""
        with self._lock:
            self._finished += 1
            self._files -= skipped
        self._show()

    def _show(self) -> None:
        # Sizes of pictures to come are unknown; they are taken to be like those so far.
        pictures = max(self._pictures, 1)
        total = self._planned / pictures * max(self._files, self._pictures)
        seconds = time.perf_counter() - self._started
        rate = self._done / seconds if seconds else 0.0
        self.progress.update(
            self._task,
            total=total or None,
            completed=self._done,
            files=self._finished,
            megapixels=self._done / 1e6,
            rate=rate / 1e6,
            left=(total - self._done) / rate if rate else None,
        )


class _TimeLeft(ProgressColumn):
    """Hours, minutes and seconds until the end."""

    def render(self, task: Task) -> Text:
        """See `ProgressColumn`."""
        left = task.fields["left"]
        if left is None:
            return Text("-:--:-- left")
        minutes, seconds = divmod(int(left), 60)
        return Text(f"{minutes // 60}:{minutes % 60:02}:{seconds:02} left")


__all__ = ["Watch"]
