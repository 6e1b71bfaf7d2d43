"""Server-sent events: every change of a job as the whole of it, so that any later one makes up for
those that were missed; the id of an event is the version of the job."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from starlette.concurrency import run_in_threadpool

from fourfold.server.service import Service
from fourfold.server.store import ENDED

_LOOK: Final = 0.2
"""Seconds between looks for changes."""
_ALIVE: Final = 15.0
"""Seconds after which a comment is sent, so that proxies keep the connection."""
_ID: Final = re.compile(r"[0-9]{1,18}")


def last_event(value: str | None) -> int:
    """`Last-Event-ID`; 0, so everything, where it is none of ours.

    >>> last_event("17"), last_event("-1"), last_event("9" * 5000), last_event(None)
    (17, 0, 0, 0)
    """
    return int(value) if _ID.fullmatch(value or "") and value else 0


async def job_events(
    service: Service, owner: str, since: int, *, only: str | None = None
) -> AsyncIterator[str]:
    """Events `job` and `gone`, of all jobs of a user or one; that of one ends when it ends."""
    service.streams += 1
    try:
        async for event in _changes(service, owner, since, only):
            yield event
    finally:
        service.streams -= 1


async def _changes(
    service: Service, owner: str, since: int, only: str | None
) -> AsyncIterator[str]:
    known: set[str] | None = None
    seen, said = -1, time.monotonic()
    yield "retry: 1000\n\n"
    while not service.ending.is_set():
        if service.store.version != seen:
            seen, said = service.store.version, time.monotonic()
            jobs, ids = await run_in_threadpool(service.store.changed, since, owner)
            for job in jobs:
                if only in (None, job.id):
                    yield _event("job", service.told(job), job.version)
                since = max(since, job.version)
            if known is None and only is None:
                yield _event("ids", sorted(ids))
            for gone in (known or set()) - ids:
                if only in (None, gone):
                    yield _event("gone", {"id": gone})
            known = ids
            if only is not None and await run_in_threadpool(_has_ended, service, only):
                return
        if time.monotonic() - said > _ALIVE:
            said = time.monotonic()
            yield ": still here\n\n"
        await asyncio.sleep(_LOOK)


def _has_ended(service: Service, id_: str) -> bool:
    job = service.store.get(id_)
    return job is None or job.state in ENDED


def _event(name: str, data: Any, id_: int | None = None) -> str:
    number = "" if id_ is None else f"id: {id_}\n"
    return f"{number}event: {name}\ndata: {json.dumps(data)}\n\n"


__all__ = ["job_events", "last_event"]
