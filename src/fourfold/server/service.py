"""Everything of a running service: folder, store, lanes; and what clients are told of a job."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from fourfold.errors import FourfoldError
from fourfold.jobs.engines import Engines
from fourfold.pictures.formats import format_of_start
from fourfold.server.folder import Folder, result_name
from fourfold.server.lanes import Lanes
from fourfold.server.metrics import Metrics
from fourfold.server.problems import Problem
from fourfold.server.settings import Settings
from fourfold.server.store import ENDED, Job, Store, Taken

logger = logging.getLogger(__name__)

_ENGINES: Final = 4
"""Networks kept open: `auto` for pictures and films, and two positions of the dial."""
_SWEEP: Final = 60.0
"""Seconds between looks for jobs to forget."""

_TYPES: Final[Mapping[str, str]] = {
    **{".mp4": "video/mp4", ".m4v": "video/mp4", ".mov": "video/quicktime"},
    **{".mkv": "video/x-matroska", ".webm": "video/webm"},
}
_PICTURE_TYPES: Final[Mapping[str, str]] = {
    **{"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp", "gif": "image/gif"},
    **{"avif": "image/avif", "tiff": "image/tiff", "bmp": "image/bmp"},
}


class Service:
    """Opened once for an app; `close` ends it."""

    def __init__(self, settings: Settings, engines: Engines | None = None) -> None:
        self.settings = settings
        self.engines = engines or Engines(most=_ENGINES)
        self.metrics = Metrics()
        self.ending = threading.Event()
        """Set when the service ends; streams end then."""
        self.folder = Folder(settings.data)
        self.store = Store(self.folder.base)
        self.metrics.watch(self.store.counts, self.store.stored)
        self.lanes = Lanes(self.store, self.folder, settings, self.engines, self.metrics)
        self.uploads = asyncio.Semaphore(settings.uploads)
        self.previews = asyncio.Semaphore(settings.previews)
        self.views = asyncio.Semaphore(settings.previews)
        self.streams = 0
        """Clients that listen to events; counted on the event loop alone."""
        self._sweeper = threading.Thread(target=self._sweep, name="fourfold-sweeper", daemon=True)

    def start(self) -> None:
        """Take up what an earlier service has left, and begin."""
        self.store.recover()
        for job in self.store.all():
            if job.state == "cancelled":
                self.forget(job)
        self.folder.keep_only(job.id for job in self.store.all())
        self.lanes.start()
        self._sweeper.start()

    def close(self) -> None:
        """Stop; what is under way goes on with the next start."""
        self.ending.set()
        self.lanes.close()
        if self._sweeper.ident is not None:
            self._sweeper.join(5)
        self.store.close()
        self.folder.close()

    @asynccontextmanager
    async def turn(self, places: asyncio.Semaphore) -> AsyncIterator[None]:
        """Hold one of few places; `Problem` 503 where none is free for long.

        Who waits holds no thread, of which there are few too.
        """
        try:
            async with asyncio.timeout(self.settings.patience):
                await places.acquire()
        except TimeoutError as error:
            raise Problem(503, "too much at once; come again", retry_after=5) from error
        try:
            yield
        finally:
            places.release()

    def _sweep(self) -> None:
        while not self.ending.wait(_SWEEP):
            try:
                self.expire()
            except Exception:
                logger.exception("expiry")

    def expire(self) -> None:
        """Forget jobs that ended long ago."""
        for job in self.store.expired(time.time() - self.settings.keep_hours * 3600):
            logger.info("job %s expired", job.id)
            self.forget(job)

    def forget(self, job: Job) -> None:
        """Remove a job that does not run, with its files."""
        self.store.remove(job.id)
        self.folder.remove(job.id)

    def room(self) -> int:
        """Bytes a new file may have; `Problem` when there is none or the queue is full."""
        counts = self.store.counts()
        if counts.get("queued", 0) >= self.settings.max_waiting:
            raise Problem(429, "the queue is full; come again when some are done", retry_after=30)
        left = self.settings.max_stored - self.store.stored()
        if left <= 0:
            raise Problem(507, "the service's storage is full; delete jobs that are done")
        return min(self.settings.max_upload, left)

    def accept(self, job: Job) -> Job:
        """Queue a job whose file is in place; the older one for a key that has been used."""
        try:
            job = self.store.add(job)
        except Taken as taken:
            self.folder.remove(job.id)
            same = ("sha256", "options", "name")
            if any(getattr(job, name) != getattr(taken.job, name) for name in same):
                raise Problem(
                    422, "Idempotency-Key: has been used for another file or other options"
                ) from taken
            return taken.job
        self.lanes.wake()
        logger.info("job %s accepted, %d bytes", job.id, job.bytes)
        return job

    def cancel(self, job: Job) -> None:
        """Stop and forget."""
        if self.lanes.cancel(job.id):
            return
        self.forget(job)

    def told(self, job: Job) -> dict[str, Any]:
        """What clients are told."""
        tick = self.store.tick(job.id) if job.state == "running" else None
        share = 1.0 if job.state == "done" else 0.0 if tick is None else tick.share or 0.0
        facts = job.facts
        return {
            "id": job.id,
            "state": job.state,
            "name": job.name,
            "kind": "film" if job.film else "picture",
            "bytes": job.bytes,
            "options": job.options,
            "progress": round(share, 4),
            "seconds_left": None if tick is None else tick.seconds_left,
            "created": job.created,
            "ended": job.ended,
            "expires": job.ended and job.ended + self.settings.keep_hours * 3600,
            "model": facts.get("model"),
            "why": facts.get("why"),
            "width": facts.get("width"),
            "height": facts.get("height"),
            "pages": facts.get("pages"),
            "frames": facts.get("frames"),
            "seconds": facts.get("seconds"),
            "notes": facts.get("notes", []),
            "reason": job.reason,
            "result": job.result and result_name(job.name, job.result),
            "result_bytes": job.result_bytes or None,
            "version": job.version,
        }

    def result(self, job: Job) -> Path:
        """The file of a job that is done; `Problem` 409 before."""
        if job.state != "done" or job.result is None:
            ended = job.state in ENDED
            raise Problem(
                409,
                f"the job is {job.state}" + (f": {job.reason}" if job.reason else ""),
                retry_after=None if ended else 2,
            )
        return self.folder.results(job.id) / job.result

    def shown(self, job: Job, error: FourfoldError) -> str:
        """A message without paths of this machine."""
        return str(error).replace(str(self.folder.of(job.id)), "").lstrip("/\\")


def media_type(path: Path) -> str:
    """What a browser is told a file is: a picture or film by its own first bytes or suffix, and
    never anything it would run, as SVG or HTML."""
    film = _TYPES.get(path.suffix.lower())
    try:
        with path.open("rb") as file:
            form = format_of_start(file.read(16))
    except OSError:
        form = None
    return _PICTURE_TYPES.get(form or "") or film or "application/octet-stream"


__all__ = ["Service", "media_type"]
