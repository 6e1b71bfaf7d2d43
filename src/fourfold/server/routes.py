"""What there is to know and fetch of jobs."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Header, Query, Request
from fastapi.responses import FileResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from fourfold.errors import FourfoldError
from fourfold.server.archive import stream_zip
from fourfold.server.events import job_events, last_event
from fourfold.server.folder import result_name
from fourfold.server.problems import Problem, problem_of
from fourfold.server.service import Service, media_type
from fourfold.server.store import Job
from fourfold.server.views import SIDES, write_view

router = APIRouter(prefix="/v1")

_AT_ONCE: Final = 1 << 20
"""Bytes of a file that is read in one go; a larger one goes out in pieces, each read in a thread."""


async def service_of(request: Request) -> Service:
    """The service of an app; async, as everything that needs no thread, so that it waits for none."""
    service: Service = request.app.state.service
    return service


async def owner_of_request(request: Request) -> str:
    """Whose request it is, as the guard has found."""
    return str(request.state.owner)


ServiceOf = Annotated[Service, Depends(service_of)]
Owner = Annotated[str, Depends(owner_of_request)]


async def job_of(id: str, service: ServiceOf, owner: Owner) -> Job:
    """A job of the one who asks; others' jobs do not exist. No read of the store waits for long."""
    job = service.store.get(id, owner)
    if job is None:
        raise Problem(404, "no such job; it may have been deleted or expired")
    return job


JobOf = Annotated[Job, Depends(job_of)]
RangeOf = Annotated[str | None, Header()]
LastEventId = Annotated[str | None, Header(alias="Last-Event-ID")]
_STREAM: dict[int | str, dict[str, Any]] = {200: {"content": {"text/event-stream": {}}}}


def _bytes(*kinds: str) -> dict[int | str, dict[str, Any]]:
    """Answers of these media types, for the OpenAPI document."""
    content: dict[str, Any] = {kind: {} for kind in kinds}
    return {200: {"content": content}, 206: {"description": "A range of it", "content": content}}


_FILES: Final = _bytes("image/*", "video/*", "application/octet-stream")


@router.get("/jobs")
def list_jobs(
    service: ServiceOf, owner: Owner, limit: Annotated[int, Query(ge=1, le=1000)] = 200
) -> dict[str, Any]:
    """The latest jobs, the newest first."""
    return {"jobs": [service.told(job) for job in service.store.all(owner, limit=limit)]}


@router.get("/events", response_class=StreamingResponse, responses=_STREAM)
async def all_events(
    service: ServiceOf, owner: Owner, last_event_id: LastEventId = None
) -> StreamingResponse:
    """Every change of every job, as server-sent events."""
    return _events(service, job_events(service, owner, last_event(last_event_id)))


@router.get("/jobs/{id}")
async def get_job(service: ServiceOf, job: JobOf) -> dict[str, Any]:
    """One job."""
    return service.told(job)


@router.get("/jobs/{id}/events", response_class=StreamingResponse, responses=_STREAM)
async def events(
    service: ServiceOf, owner: Owner, job: JobOf, last_event_id: LastEventId = None
) -> StreamingResponse:
    """Every change of one job, until it ends; `Last-Event-ID` goes on after an event."""
    stream = job_events(service, owner, last_event(last_event_id), only=job.id)
    return _events(service, stream)


def _events(service: Service, stream: AsyncIterator[str]) -> StreamingResponse:
    if service.streams >= service.settings.streams:
        raise Problem(503, "too many listen already; ask for the job instead", retry_after=5)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.get("/jobs/{id}/result", response_class=FileResponse, responses=_FILES)
async def get_result(service: ServiceOf, job: JobOf, range: RangeOf = None) -> Response:
    """The result; 409 while there is none."""
    path = service.result(job)
    return await run_in_threadpool(_file, path, result_name(job.name, path.name), range)


@router.get("/jobs/{id}/input", response_class=FileResponse, responses=_FILES)
async def get_input(service: ServiceOf, job: JobOf, range: RangeOf = None) -> Response:
    """The file that was sent."""
    path = service.folder.input(job.id, job.suffix)
    return await run_in_threadpool(_file, path, job.name, range)


@router.get("/jobs/{id}/preview", response_class=FileResponse, responses=_bytes("image/webp"))
async def get_preview(
    service: ServiceOf,
    job: JobOf,
    of: Literal["result", "input"] = "result",
    side: Literal["160", "2048"] = "2048",
    range: RangeOf = None,
) -> Response:
    """The first page of a picture, result or input, as a WebP of at most so many pixels a side."""
    if job.film:
        raise Problem(404, "films have no preview; the option preview makes one of a few seconds")
    source = service.result(job) if of == "result" else service.folder.input(job.id, job.suffix)
    view = service.folder.of(job.id) / f"view-{of}-{side}.webp"
    if not view.exists():
        pixels = service.settings.max_pixels
        make = partial(write_view, source, view, side=SIDES[side == "2048"], max_pixels=pixels)
        try:
            async with service.turn(service.views):
                await run_in_threadpool(make)
        except FourfoldError as error:
            raise Problem(problem_of(error).status, service.shown(job, error)) from error
    return await run_in_threadpool(_file, view, f"{of}.webp", range)


def _file(path: Path, name: str, range: str | None) -> Response:
    """As a download, of a type that no browser runs."""
    try:
        found = path.stat()
        first = re.match(r"bytes=(\d+)-|bytes=-0+$", range or "")
        if first and int(first[1] or found.st_size) >= found.st_size:
            raise Problem(416, f"Range: {name} has {found.st_size} bytes")
        answer = FileResponse(path, media_type=media_type(path), filename=name, stat_result=found)
        if range is not None or found.st_size > _AT_ONCE:
            return answer
        return Response(path.read_bytes(), headers=answer.headers)
    except OSError as error:
        gone = "the file is gone; the job has been deleted or has expired"
        raise Problem(404, gone) from error


@router.get(
    "/results.zip",
    response_class=StreamingResponse,
    responses={200: {"content": {"application/zip": {}}}},
)
def get_results(
    service: ServiceOf, owner: Owner, id: Annotated[list[str] | None, Query()] = None
) -> StreamingResponse:
    """Results as one ZIP file: of the jobs named, or of all that are done."""
    wanted = None if id is None else set(id)
    files = [
        (result_name(job.name, job.result), service.folder.results(job.id) / job.result)
        for job in reversed(service.store.all(owner))
        if job.state == "done" and job.result and (wanted is None or job.id in wanted)
    ]
    if not files:
        raise Problem(404, "none of these jobs has a result")
    headers = {"Content-Disposition": 'attachment; filename="fourfold.zip"'}
    return StreamingResponse(stream_zip(files), media_type="application/zip", headers=headers)


@router.delete("/jobs/{id}", status_code=204)
def delete_job(service: ServiceOf, job: JobOf) -> Response:
    """Cancel and forget."""
    service.cancel(job)
    return Response(status_code=204)


__all__ = ["JobOf", "Owner", "ServiceOf", "router", "service_of"]
