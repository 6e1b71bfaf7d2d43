"""Files in, files out: decoding, network and encoding overlap; each result is whole or absent."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, Protocol, TypeVar

from fourfold.engine.upscaler import Upscaler
from fourfold.errors import FourfoldError, UsageError, shown
from fourfold.files.paths import STDIO, Found
from fourfold.jobs.claims import Claims
from fourfold.jobs.naming import OutputSettings, without_results
from fourfold.jobs.picture import Finished, Picture, enlarge, finish, prepare
from fourfold.jobs.size import TargetSize
from fourfold.weights.zoo import DEFAULT_MODEL

logger = logging.getLogger(__name__)

_AHEAD: Final = 1
"""Pictures that wait between two steps; each holds pixels."""

_TICK: Final = 0.1
"""Seconds after which a waiting thread looks whether to stop."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one input."""

    input: str
    status: Literal["done", "skipped", "failed"]
    output: str | None = None
    reason: str | None = None
    width: int = 0
    height: int = 0
    pages: int = 1
    seconds: float = 0.0
    """Of work on this input: decoding, network and encoding; they overlap with other inputs'."""
    notes: tuple[str, ...] = ()
    """What could not be kept, and why."""

    @property
    def megapixels(self) -> float:
        """Of the result, all pages."""
        return self.width * self.height * self.pages / 1e6

    @property
    def megapixels_per_second(self) -> float:
        """Output rate, everything included."""
        return self.megapixels / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "input": self.input,
            "output": self.output,
            "status": self.status,
            "reason": self.reason,
            "width": self.width,
            "height": self.height,
            "pages": self.pages,
            "seconds": round(self.seconds, 3),
            "megapixels_per_second": round(self.megapixels_per_second, 3),
            "notes": list(self.notes),
        }


_Numbered = tuple[int, Outcome]
"""With the number of its input."""


class Watcher(Protocol):
    """Told how the work goes on; called from the thread that runs the network."""

    def planned(self, pixels: int) -> None:
        """A picture begins whose network result has so many pixels."""

    def enlarged(self, pixels: int) -> None:
        """So many more are computed."""


def upscale_file(
    source: str | Path,
    target: str | Path | None = None,
    *,
    model: str | Path = DEFAULT_MODEL,
    scale: float | None = None,
    fit: str | None = None,
    ext: str = "auto",
    quality: int | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
    max_pixels: int = 500_000_000,
    upscaler: Upscaler | None = None,
    **options: Any,
) -> Path:
    """Enlarge one picture file and return the path of the result.

    Args:
        source: the picture.
        target: result file or folder; `<name>_x4.<ext>` beside the source by default.
        model: see `Upscaler`; `options` are passed on to it.
        scale, fit, ext, quality, suffix, max_pixels: as the options of `fourfold upscale`.
        overwrite: False keeps an existing result and returns its path.
        upscaler: one to reuse; `model` and `options` are then ignored.

    Raises `InputError` or `OutputError` naming the file, `UsageError` for wrong options.
    """
    settings = OutputSettings(
        size=TargetSize.parse(scale, fit),
        ext=ext,
        quality=quality,
        suffix=suffix,
        overwrite=overwrite,
        max_pixels=max_pixels,
    )
    up = upscaler or Upscaler(model, **options)
    found = Found(Path(source), Path(Path(source).name))
    out = None if target is None else str(target)
    try:
        picture = prepare(found, out, up, settings, single=True, claim=Claims(found.path).take)
    except Finished as kept:
        return kept.path
    try:
        enlarge(picture, up)
        finish(picture, quality=quality)
        assert picture.target.path is not None
        return picture.target.path
    finally:
        picture.close()


def upscale_files(
    inputs: Iterable[Found],
    out: str | None,
    upscaler: Upscaler,
    settings: OutputSettings,
    *,
    watcher: Watcher | None = None,
) -> Generator[Outcome, None, None]:
    """Enlarge each input; a failed one is reported in its outcome and never stops the rest.

    Results of an earlier run in the same folders are not inputs. Closing the iterator (Ctrl-C)
    stops the threads and removes scratch files. Raises `UsageError`.
    """
    found = without_results(inputs, settings, upscaler.scale)
    run = _Run(found, out, upscaler, settings)
    try:
        yield from _in_order(run.outcomes(watcher))
    finally:
        run.stop()


def _in_order(numbered: Iterator[tuple[int, Outcome]]) -> Iterator[Outcome]:
    """Outcomes in the order of the inputs, though some are known early."""
    early: dict[int, Outcome] = {}
    following = 0
    for number, outcome in numbered:
        early[number] = outcome
        while following in early:
            yield early.pop(following)
            following += 1


@dataclass(slots=True, kw_only=True)
class _Work:
    """A picture on its way with the time spent on it."""

    number: int
    """Of the input, from 0."""
    name: str
    picture: Picture
    seconds: float = 0.0


@dataclass(slots=True)
class _Run:
    """The threads of one call: decode | network (the caller's thread) | encode."""

    found: list[Found]
    out: str | None
    upscaler: Upscaler
    settings: OutputSettings
    _stop: threading.Event = field(default_factory=threading.Event)
    _prepared: queue.Queue[_Work | _Numbered | UsageError | None] = field(
        default_factory=lambda: queue.Queue(_AHEAD)
    )
    _enlarged: queue.Queue[_Work | None] = field(default_factory=lambda: queue.Queue(_AHEAD))
    _done: queue.SimpleQueue[_Numbered] = field(default_factory=queue.SimpleQueue)
    _threads: list[threading.Thread] = field(default_factory=list)

    def outcomes(self, watcher: Watcher | None) -> Iterator[_Numbered]:
        """Run the network over what is prepared; yield numbered outcomes as they are known."""
        self._start(self._prepare_all)
        self._start(self._finish_all)
        waiting = 0
        while (item := _get(self._prepared, self._stop)) is not None:
            if isinstance(item, UsageError):
                raise item
            if isinstance(item, tuple):
                yield item
            else:
                failed = self._enlarge(item, watcher)
                if failed is not None:
                    yield item.number, failed
                elif _put(self._enlarged, item, self._stop):
                    waiting += 1
            while not self._done.empty():
                waiting -= 1
                yield self._done.get()
        _put(self._enlarged, None, self._stop)
        for _ in range(waiting):
            yield self._done.get()

    def stop(self) -> None:
        """End the threads and free what is under way."""
        self._stop.set()
        for thread in self._threads:
            thread.join()
        for waiting in (self._prepared, self._enlarged):
            while not waiting.empty():
                item = waiting.get()
                if isinstance(item, _Work):
                    item.picture.close()

    def _start(self, target: Callable[[], None]) -> None:
        thread = threading.Thread(target=target, name=target.__name__, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _prepare_all(self) -> None:
        claims = Claims()
        for number, item in enumerate(self.found):
            prepared = self._prepare(number, item, claims)
            if not _put(self._prepared, prepared, self._stop):
                if isinstance(prepared, _Work):
                    prepared.picture.close()
                return
        _put(self._prepared, None, self._stop)

    def _prepare(self, number: int, item: Found, claims: Claims) -> _Work | _Numbered | UsageError:
        started = time.perf_counter()
        claims.owner = item.path
        name = str(item.path)
        try:
            picture = prepare(
                item,
                self.out,
                self.upscaler,
                self.settings,
                single=len(self.found) == 1 and item.named,
                claim=claims.take,
                stop=self._stop,
            )
        except Finished as kept:
            reason = "exists (--overwrite replaces it)"
            output = str(kept.path)
            return number, Outcome(input=name, output=output, status="skipped", reason=reason)
        except UsageError as error:
            return error
        except Exception as error:
            return number, _failed(name, error)
        return _Work(
            number=number, name=name, picture=picture, seconds=time.perf_counter() - started
        )

    def _enlarge(self, work: _Work, watcher: Watcher | None) -> Outcome | None:
        """None when the picture goes on to be encoded."""
        started = time.perf_counter()
        if watcher is not None:
            watcher.planned(work.picture.network_pixels * self.upscaler.scale**2)
        progress = None if watcher is None else watcher.enlarged
        try:
            enlarge(work.picture, self.upscaler, progress=progress, stop=self._stop)
        except Exception as error:
            work.picture.close()
            return _failed(work.name, error)
        except BaseException:
            work.picture.close()
            raise
        work.seconds += time.perf_counter() - started
        return None

    def _finish_all(self) -> None:
        while (work := _get(self._enlarged, self._stop)) is not None:
            started = time.perf_counter()
            try:
                notes = finish(work.picture, quality=self.settings.quality, stop=self._stop)
                seconds = work.seconds + time.perf_counter() - started
                outcome = _done(work, notes, seconds)
            except Exception as error:
                outcome = _failed(work.name, error)
            finally:
                work.picture.close()
            self._done.put((work.number, outcome))


def _done(work: _Work, notes: tuple[str, ...], seconds: float) -> Outcome:
    target = work.picture.target
    return Outcome(
        input=work.name,
        output=STDIO if target.path is None else str(target.path),
        status="done",
        width=target.width,
        height=target.height,
        pages=work.picture.pages,
        seconds=seconds,
        notes=notes,
    )


def _failed(name: str, error: Exception) -> Outcome:
    """An outcome for any error: one bad picture must not end a night's work."""
    if isinstance(error, FourfoldError):
        reason = str(error)
    elif isinstance(error, MemoryError):
        reason = f"{name}: out of memory; try a smaller --max-memory"
    elif isinstance(error, InterruptedError):
        reason = f"{name}: stopped before its end"  # asked for; nobody reads this outcome
    elif isinstance(error, OSError):
        reason = f"{name}: {error.strerror or error}"
        if error.filename and str(error.filename) != name:
            reason = f"{name}: {error.filename!s}: {error.strerror or error}"
    else:
        logger.error("%s", name, exc_info=error)
        reason = f"{name}: {type(error).__name__}: {error} (a bug: please report it)"
    reason = shown(reason)
    if shown(name) not in reason:
        reason = f"{shown(name)}: {reason}"
    return Outcome(input=name, status="failed", reason=reason)


def _put(waiting: queue.Queue[T], item: T, stop: threading.Event) -> bool:
    """False when `stop` came first."""
    while not stop.is_set():
        try:
            waiting.put(item, timeout=_TICK)
        except queue.Full:
            continue
        return True
    return False


def _get(waiting: queue.Queue[T], stop: threading.Event) -> T | None:
    """None when `stop` came first."""
    while not stop.is_set():
        try:
            return waiting.get(timeout=_TICK)
        except queue.Empty:
            continue
    return None


__all__ = [
    "Outcome",
    "OutputSettings",
    "Watcher",
    "upscale_file",
    "upscale_files",
]
