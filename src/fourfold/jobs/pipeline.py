"""Requests through their steps: prepare, enlarge, finish, which overlap where there are many."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from typing import Final, Protocol

from fourfold.engine.upscaler import Upscaler
from fourfold.errors import FourfoldError, MissingExtra, OutputError, UsageError, option, shown
from fourfold.jobs.claims import Busy, Claims, Finished
from fourfold.jobs.engines import Engines
from fourfold.jobs.film import prepare_film
from fourfold.jobs.outcome import Outcome, Report
from fourfold.jobs.picture import prepare
from fourfold.jobs.records import described
from fourfold.jobs.request import Request, want_request, want_requests
from fourfold.jobs.stages import Cancelled, Channel, Crew

logger = logging.getLogger(__name__)

_AHEAD: Final = 1
"""Pictures that wait between two steps; each holds pixels."""


class Job(Protocol):
    """A picture or film that is prepared: its result is claimed until `close`."""

    request: Request

    def enlarge(self, report: Report | None, stop: threading.Event | None) -> None:
        """Run the network."""

    def finish(self, stop: threading.Event | None) -> Outcome:
        """Publish the result."""

    def close(self) -> None:
        """Free everything; called once, whatever happens."""


def run(
    request: Request,
    *,
    progress: Report | None = None,
    stop: threading.Event | None = None,
    upscaler: Upscaler | Engines | None = None,
    claims: Claims | None = None,
    turn: AbstractContextManager[object] | None = None,
) -> Outcome:
    """Enlarge one picture or film.

    Args:
        request: what and how.
        progress: called from this thread after every tile or frame.
        stop: when set, the work ends with `Cancelled` after the tile or frame under way. Films go
            on from their last finished segment when they are run again.
        upscaler: one to share between threads and calls, from `open_upscaler`, or any other for a
            request that sets none of its options; or `Engines`, several to share.
        claims: shared by calls whose inputs must not have one result.
        turn: held while the network runs, so that of several threads one runs it and the others
            read and write meanwhile.

    A result of the same settings that exists is kept: the outcome is then `skipped`. Raises
    `InputError` or `OutputError` naming the file, `UsageError` for what cannot be done as asked.
    """
    want_request(request)
    started = time.perf_counter()
    try:
        job = prepare_job(request, Engines.among(upscaler), claims or Claims(), stop)
        try:
            with turn or nullcontext():
                job.enlarge(progress, stop)
            outcome = job.finish(stop)
        finally:
            job.close()
    except Finished as kept:
        return _kept(request, kept)
    except InterruptedError as error:
        raise Cancelled(f"{request.name}: stopped before its end") from error
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(reason_of(request.name, error)) from error
    return replace(outcome, seconds=time.perf_counter() - started)


def run_all(
    requests: Iterable[Request],
    *,
    progress: Report | None = None,
    stop: threading.Event | None = None,
    upscaler: Upscaler | None = None,
) -> Generator[Outcome, None, None]:
    """Enlarge everything; a failed one is reported in its outcome and never stops the rest.

    Args:
        requests: what and how, each; all of them are known before the first is done.
        progress: called from this thread after every tile or frame, with the input's name.
        stop: when set, the work ends with `Cancelled` after the tile or frame under way.
        upscaler: see `run`; by default one is opened for all requests that ask for the same.

    Outcomes come in the order of the requests, but for results that another process was working
    on, which come last. Closing the iterator (Ctrl-C) ends the threads and removes scratch files.
    Raises `UsageError`, and `Cancelled` once `stop` is set.
    """
    work = _Run(want_requests(requests), Engines(upscaler), Crew(stop))
    yield from _in_order(work.outcomes(progress))


def prepare_job(
    request: Request, engines: Engines, claims: Claims, stop: threading.Event | None
) -> Job:
    """Claim and read; see `jobs.picture.prepare`."""
    request.refuse_useless()
    engines.of(request)  # options that contradict each other are told before files are read
    if request.is_film:
        return prepare_film(request, engines, claims)
    return prepare(request, engines, claims, stop=stop)


_Numbered = tuple[int, Outcome | None]
"""With the number of its request; None: the outcome comes later, under another number."""


def _in_order(numbered: Iterator[_Numbered]) -> Iterator[Outcome]:
    """Outcomes in the order of their numbers, though some are known early."""
    early: dict[int, Outcome | None] = {}
    following = 0
    for number, outcome in numbered:
        early[number] = outcome
        while following in early:
            known = early.pop(following)
            following += 1
            if known is not None:
                yield known


@dataclass(slots=True, kw_only=True)
class _Work:
    """A job on its way with the time spent on it."""

    number: int
    job: Job
    seconds: float


@dataclass(slots=True)
class _Run:
    """The threads of one call: decode | network (the caller's thread) | encode."""

    requests: list[Request]
    engines: Engines
    crew: Crew
    _claims: Claims = field(default_factory=Claims)

    def outcomes(self, progress: Report | None) -> Iterator[_Numbered]:
        """Run the network over what is prepared; yield numbered outcomes as they are known."""
        for request in self.requests:
            self.engines.of(request)  # a bad model is one error, not one for each picture
        stop = self.crew.stop
        prepared: Channel[_Work | _Numbered] = Channel(_AHEAD, stop)
        enlarged: Channel[_Work] = Channel(_AHEAD, stop)
        done: Channel[_Numbered] = Channel(0, stop)
        self.crew.start(lambda: self._prepare_all(prepared), "prepare")
        self.crew.start(lambda: self._finish_all(enlarged, done), "finish")
        try:
            for item in prepared:
                known = item if isinstance(item, tuple) else self._enlarge(item, progress)
                if known is not None and not stop.is_set():
                    yield known
                elif isinstance(item, _Work) and known is None and not enlarged.put(item):
                    _close(item)
                yield from done.waiting()
            enlarged.end()
            yield from done
            if stop.is_set():
                self.crew.join()
                raise Cancelled("stopped; finished results are kept, the same call goes on")
        finally:
            stop.set()
            self.crew.wait()
            for left in (*prepared.waiting(), *enlarged.waiting()):
                if isinstance(left, _Work):
                    _close(left)

    def _prepare_all(self, prepared: Channel[_Work | _Numbered]) -> None:
        """Results another process is at are looked at once more when all others are done."""
        busy: list[Request] = []
        for number, request in enumerate(self.requests):
            try:
                item = self._prepare(number, request)
            except Busy:
                busy.append(request)
                item = number, None
            if not _handed_on(item, prepared):
                return
        for number, request in enumerate(busy, len(self.requests)):
            try:
                item = self._prepare(number, request)
            except Busy as error:
                item = number, _kept(request, Finished(error.path, "is another process's work"))
            if not _handed_on(item, prepared):
                return
        prepared.end()

    def _prepare(self, number: int, request: Request) -> _Work | _Numbered:
        started = time.perf_counter()
        try:
            job = prepare_job(request, self.engines, self._claims, self.crew.stop)
        except Finished as kept:
            return number, _kept(request, kept)
        except Busy:
            raise
        except Exception as error:
            if isinstance(error, UsageError) and not isinstance(error, MissingExtra):
                raise
            return number, _failed(request, error)
        return _Work(number=number, job=job, seconds=time.perf_counter() - started)

    def _enlarge(self, work: _Work, progress: Report | None) -> _Numbered | None:
        """None when the job goes on to be finished."""
        started = time.perf_counter()
        try:
            work.job.enlarge(progress, self.crew.stop)
        except BaseException as error:
            _close(work)
            # When nobody reads standard output any more, nothing else is worth doing.
            if isinstance(error, (UsageError, BrokenPipeError)) or not isinstance(error, Exception):
                raise
            return work.number, _failed(work.job.request, error)
        work.seconds += time.perf_counter() - started
        return None

    def _finish_all(self, enlarged: Channel[_Work], done: Channel[_Numbered]) -> None:
        for work in enlarged:
            started = time.perf_counter()
            try:
                try:
                    outcome = work.job.finish(self.crew.stop)
                finally:
                    work.job.close()
            except Exception as error:
                outcome = _failed(work.job.request, error)
            seconds = work.seconds + time.perf_counter() - started
            done.put((work.number, replace(outcome, seconds=seconds)))
        done.end()


def _handed_on(item: _Work | _Numbered, prepared: Channel[_Work | _Numbered]) -> bool:
    if prepared.put(item):
        return True
    if isinstance(item, _Work):
        _close(item)
    return False


def _close(work: _Work) -> None:
    """Free a job that comes to nothing; why it does is known already."""
    try:
        work.job.close()
    except Exception:
        logger.warning("%s: not cleaned up", work.job.request.name, exc_info=True)


def _kept(request: Request, kept: Finished) -> Outcome:
    """An outcome for a result that stands there, as its record describes it."""
    width, height, model = described(kept.path)
    return Outcome(
        input=request.name,
        path=kept.path,
        status="skipped",
        reason=kept.reason,
        width=width,
        height=height,
        is_film=request.is_film,
        model=model,
    )


def _failed(request: Request, error: Exception) -> Outcome:
    """An outcome for any error: one bad picture must not end a night's work."""
    name = request.name
    reason = reason_of(name, error)
    return Outcome(input=name, status="failed", reason=reason, is_film=request.is_film)


def reason_of(name: str, error: Exception) -> str:
    """What is said of an input that failed with any error: one line that names it."""
    if isinstance(error, FourfoldError):
        reason = str(error)
    elif isinstance(error, MemoryError):
        reason = f"{name}: out of memory; try a smaller {option('max_memory')}"
    elif isinstance(error, OSError):
        reason = f"{name}: {error.strerror or error}"
        if error.filename and str(error.filename) != name:
            reason = f"{name}: {error.filename!s}: {error.strerror or error}"
    else:
        logger.error("%s", name, exc_info=error)
        reason = f"{name}: {type(error).__name__}: {error} (a bug: please report it)"
    reason = shown(reason)
    return reason if shown(name) in reason else f"{shown(name)}: {reason}"


__all__ = ["Job", "prepare_job", "reason_of", "run", "run_all"]
