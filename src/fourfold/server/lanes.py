"""The engine of a service: threads that take jobs from the store, pictures and films apart."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Final

from fourfold.jobs.door import plan
from fourfold.jobs.engines import Engines
from fourfold.jobs.outcome import Outcome, Progress
from fourfold.jobs.pipeline import reason_of, run
from fourfold.jobs.request import Request
from fourfold.jobs.stages import Cancelled
from fourfold.server.folder import Folder
from fourfold.server.metrics import Metrics
from fourfold.server.options import make_request
from fourfold.server.settings import Settings
from fourfold.server.store import Job, Store

logger = logging.getLogger(__name__)

_LOOK: Final = 0.5
"""Seconds after which a thread that nobody has woken looks for work by itself."""
_PATIENCE: Final = 20.0
"""Seconds in which a tile under way ends when the service does."""


class Lanes:
    """Runs jobs until `close`. A film has a lane of its own, so that pictures never wait for it."""

    def __init__(
        self, store: Store, folder: Folder, settings: Settings, engines: Engines, metrics: Metrics
    ) -> None:
        self._store, self._folder, self._settings = store, folder, settings
        self._engines, self._metrics = engines, metrics
        self._woken = threading.Condition()
        self._closing = False
        self._stops: dict[str, threading.Event] = {}
        self._cancelled: set[str] = set()
        kinds = [False] * settings.workers + [True]
        self._threads = [
            threading.Thread(
                target=self._serve, args=(film,), name=f"fourfold-lane-{i}", daemon=True
            )
            for i, film in enumerate(kinds)
        ]

    def start(self) -> None:
        """Begin to take jobs."""
        for thread in self._threads:
            thread.start()

    def wake(self) -> None:
        """There is something in the queue."""
        with self._woken:
            self._woken.notify_all()

    def cancel(self, id_: str) -> bool:
        """Stop a running job, which then is forgotten; False for one that does not run."""
        with self._woken:
            stop = self._stops.get(id_)
            if stop is None:
                return False
            self._cancelled.add(id_)
            self._store.update(id_, state="cancelled")
            stop.set()
            return True

    def close(self) -> None:
        """Stop; what is under way is queued again."""
        with self._woken:
            self._closing = True
            for stop in self._stops.values():
                stop.set()
            self._woken.notify_all()
        deadline = time.monotonic() + _PATIENCE
        for thread in self._threads:
            if thread.ident is not None:
                thread.join(max(0.0, deadline - time.monotonic()))

    def _serve(self, film: bool) -> None:
        while (taken := self._next(film)) is not None:
            job, stop = taken
            try:
                self._run(job, stop)
            except Exception:
                logger.exception("job %s", job.id)
            finally:
                self._end(job)

    def _end(self, job: Job) -> None:
        """Nobody can cancel it any more; one that was cancelled, however late, is forgotten."""
        with self._woken:
            del self._stops[job.id]
            cancelled = job.id in self._cancelled
            self._cancelled.discard(job.id)
        if cancelled:
            self._store.remove(job.id)
            self._folder.remove(job.id)
            self._metrics.ended("cancelled")
            logger.info("job %s cancelled", job.id)

    def _next(self, film: bool) -> tuple[Job, threading.Event] | None:
        """The next job; None when the service ends."""
        while True:
            with self._woken:
                if self._closing:
                    return None
                job = self._store.take(film=film)
                if job is not None:
                    stop = self._stops[job.id] = threading.Event()
                    return job, stop
                self._woken.wait(_LOOK)

    def _run(self, job: Job, stop: threading.Event) -> None:
        source = self._folder.input(job.id, job.suffix)
        started = time.perf_counter()

        def report(now: Progress) -> None:
            self._store.report(job.id, now.share, now.seconds_left)

        try:
            results = self._folder.results(job.id)
            request = make_request(source, results, job.options, self._settings)
            outcome = run(request, upscaler=self._engines, progress=report, stop=stop)
            self._finish(job, outcome, request, time.perf_counter() - started)
        except Cancelled:
            if job.id not in self._cancelled:
                self._store.update(job.id, state="queued", attempts=job.attempts - 1)
        except Exception as error:
            self._fail(job, self._named(job, reason_of(str(source), error)))

    def _finish(self, job: Job, outcome: Outcome, request: Request, seconds: float) -> None:
        if job.id in self._cancelled:
            return
        if outcome.path is None:
            self._fail(job, self._named(job, outcome.reason or "no result"))
            return
        facts = self._facts(job, outcome)
        if outcome.status == "skipped":  # the service ended between the result and this line
            made = plan(request, upscaler=self._engines)
            facts |= {"width": made.width, "height": made.height, "model": made.model}
            facts |= {"why": made.why, "notes": [self._named(job, note) for note in made.notes]}
        size = outcome.path.stat().st_size
        self._store.update(
            job.id,
            state="done",
            ended=time.time(),
            result=outcome.path.name,
            result_bytes=size,
            reason=facts.pop("damage"),
            facts=facts,
        )
        self._metrics.ended("done", seconds, outcome.megapixels)
        logger.info("job %s done in %.2f s", job.id, seconds)

    def _facts(self, job: Job, outcome: Outcome) -> dict[str, Any]:
        width, height = outcome.size if outcome.frames is None else outcome.shown
        return {
            "width": width,
            "height": height,
            "pages": outcome.pages,
            "frames": outcome.frames,
            "seconds": round(outcome.seconds, 3),
            "model": outcome.model,
            "why": outcome.why,
            "notes": [self._named(job, note) for note in outcome.notes],
            "damage": outcome.damage and self._named(job, outcome.damage),
        }

    def _fail(self, job: Job, reason: str) -> None:
        if job.id in self._cancelled:
            return
        self._store.update(job.id, state="failed", ended=time.time(), reason=reason)
        self._metrics.ended("failed")
        logger.info("job %s failed: %s", job.id, reason)

    def _named(self, job: Job, text: str) -> str:
        """A message with the sender's name of the file instead of paths of this machine."""
        source = self._folder.input(job.id, job.suffix)
        results = self._folder.results(job.id)
        for path, name in ((source, job.name), (results, "result"), (self._folder.of(job.id), "")):
            text = text.replace(str(path), name)
        return text


__all__ = ["Lanes"]
