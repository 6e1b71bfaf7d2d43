"""What makes work: jobs, estimates and previews of a crop."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Final

import anyio
from fastapi import APIRouter, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from fourfold.errors import FourfoldError, InputError, UsageError
from fourfold.files.paths import flush_to_disk
from fourfold.films.probe import has_film_suffix
from fourfold.jobs.door import plan
from fourfold.jobs.engines import choose_model, pixel_rate
from fourfold.jobs.pipeline import run
from fourfold.jobs.size import work
from fourfold.server.folder import kept_suffix
from fourfold.server.options import Options, checked_names, make_request, parse_options
from fourfold.server.problems import Problem, problem_of
from fourfold.server.routes import Owner, ServiceOf
from fourfold.server.service import Service
from fourfold.server.store import Job
from fourfold.server.upload import OPTIONS, Form, chunks, receive

router = APIRouter(prefix="/v1")

_CROP_BYTES: Final = 2_000_000
_CROP_PIXELS: Final = 256 * 256
_KEY_LENGTH: Final = 200
_LARGEST_SIDE: Final = 1_000_000
_MOST_FRAMES: Final = 1_000_000_000

_OPTIONS: Final = Options.model_json_schema()
_FORM: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        OPTIONS: _OPTIONS,
                    },
                },
                "encoding": {OPTIONS: {"contentType": "application/json"}},
            }
        },
    }
}


@asynccontextmanager
async def _received(
    request: Request, service: Service, room: Callable[[], int]
) -> AsyncIterator[tuple[str, Form, Path]]:
    """The id, form and file of an upload of at most `room()` bytes, removed where the body fails."""
    async with AsyncExitStack() as receiving:
        await receiving.enter_async_context(service.turn(service.uploads))
        # Here: the way to another thread and back costs more than these do.
        most, id_ = room(), service.folder.new()
        try:
            path = service.folder.input(id_, ".incoming")
            form = await receive(request, path, service.settings, most=most)
            await receiving.aclose()
            service.metrics.received(form.bytes)
            yield id_, form, path
        except BaseException:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(service.folder.remove, id_)
            raise


@router.post(
    "/jobs", status_code=202, openapi_extra=_FORM, responses={202: {"description": "Queued"}}
)
async def post_job(
    request: Request,
    service: ServiceOf,
    owner: Owner,
    idempotency_key: Annotated[str | None, Header(max_length=_KEY_LENGTH)] = None,
) -> JSONResponse:
    """Queue one picture or film; the same `Idempotency-Key` again gives the same job."""
    async with _received(request, service, service.room) as (id_, form, path):
        job = await run_in_threadpool(
            _accept, service, id_, form, path, owner, idempotency_key or None
        )
    location = f"{service.settings.path}/v1/jobs/{job.id}"
    return JSONResponse(service.told(job), 202, headers={"Location": location, "Retry-After": "2"})


def _accept(service: Service, id_: str, form: Form, path: Path, owner: str, key: str | None) -> Job:
    if not form.bytes:
        raise InputError(f"{form.name}: is empty (0 bytes)")
    options = parse_options(form.fields.get(OPTIONS, ""))
    suffix = kept_suffix(form.name)
    kept = service.folder.input(id_, suffix)
    asked = make_request(kept, service.folder.results(id_), options, service.settings)
    flush_to_disk(path)
    path.rename(kept)
    return service.accept(
        Job(
            id=id_,
            owner=owner,
            idempotency=key,
            sha256=form.sha256,
            name=form.name,
            suffix=suffix,
            film=asked.is_film,
            options=options,
            bytes=form.bytes,
        )
    )


_SIZES: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["width", "height"],
    "properties": {
        "width": {"type": "integer", "minimum": 1, "maximum": _LARGEST_SIDE},
        "height": {"type": "integer", "minimum": 1, "maximum": _LARGEST_SIDE},
        "frames": {"type": "integer", "minimum": 1, "maximum": _MOST_FRAMES},
        "film": {"type": "boolean"},
        OPTIONS: _OPTIONS,
    },
}
_FORM_OR_SIZES: Final[dict[str, Any]] = {
    "requestBody": {
        **_FORM["requestBody"],
        "content": {
            **_FORM["requestBody"]["content"],
            "application/json": {"schema": _SIZES},
        },
    }
}


@router.post("/estimate", openapi_extra=_FORM_OR_SIZES)
async def post_estimate(request: Request, service: ServiceOf) -> dict[str, Any]:
    """Size, time and notes of a job: of a file (multipart), or by its size alone (JSON)."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        sizes = await _json(request, service)
        async with service.turn(service.views):
            return await run_in_threadpool(_estimate_size, service, sizes)
    async with _received(request, service, lambda: service.settings.max_upload) as (
        id_,
        form,
        path,
    ):
        try:
            async with service.turn(service.views):
                return await run_in_threadpool(_estimate_file, service, id_, form, path)
        finally:
            await run_in_threadpool(service.folder.remove, id_)


async def _json(request: Request, service: Service) -> dict[str, Any]:
    body = b""
    async for chunk in chunks(request, service.settings):
        body += chunk
        if len(body) > 64 * 1024:
            raise Problem(413, "want at most 65536 bytes of JSON")
    return parse_sizes(body)


def parse_sizes(body: bytes) -> dict[str, Any]:
    """The JSON of an estimate; `UsageError` for what is none."""
    try:
        sizes = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"want a JSON object ({error})") from error
    if not isinstance(sizes, dict):
        raise UsageError(f"want a JSON object, got {type(sizes).__name__}")
    most = {"width": _LARGEST_SIDE, "height": _LARGEST_SIDE, "frames": _MOST_FRAMES}
    for name, largest in most.items():
        value = sizes.get(name, 1 if name == "frames" else None)
        if isinstance(value, float) and value.is_integer():  # 640.0 is a whole number in JSON
            value = sizes[name] = int(value)
        if type(value) is not int or not 1 <= value <= largest:
            raise UsageError(f"{name}: want a whole number from 1 to {largest}, got {value!r}")
    if type(sizes.get("film", False)) is not bool:
        raise UsageError(f"film: want true or false, got {sizes['film']!r}")
    return sizes


def _estimate_size(service: Service, sizes: dict[str, Any]) -> dict[str, Any]:
    options = checked_names(sizes.get(OPTIONS, {}))
    source = Path("film.mp4" if sizes.get("film") else "picture.png")
    asked = make_request(source, None, options, service.settings)
    engine = service.engines.of(asked)
    width, height, count = sizes["width"], sizes["height"], sizes.get("frames", 1)
    out = asked.size.of(width, height, engine.scale)
    pixels = max(out[0] * out[1], width * height * engine.scale**2)
    if not asked.is_film and pixels * count > asked.max_pixels:
        raise InputError(
            f"{width}x{height} makes {pixels * count} pixels, more than --max-pixels "
            f"{asked.max_pixels}"
        )
    model, why = choose_model(asked)
    seen = width * height
    if not asked.is_film:
        seen = work((height, width), (out[1], out[0]), engine.scale)
    seconds = seen * count / pixel_rate(engine)
    numbers = {"width": out[0], "height": out[1], "seconds": round(seconds, 3)}
    return {"model": model, "why": why, "notes": [], **numbers}


def _estimate_file(service: Service, id_: str, form: Form, path: Path) -> dict[str, Any]:
    options = parse_options(form.fields.get(OPTIONS, ""))
    kept = service.folder.input(id_, kept_suffix(form.name))
    path.rename(kept)
    asked = make_request(kept, service.folder.results(id_), options, service.settings)
    try:
        made = plan(asked, upscaler=service.engines).as_dict()
    except FourfoldError as error:
        said = str(error).replace(str(kept), form.name)
        raise Problem(problem_of(error).status, said) from error
    for name in ("input", "output", "status", "reason"):
        del made[name]
    return {**made, "notes": [note.replace(str(kept), form.name) for note in made["notes"]]}


@router.post(
    "/preview",
    openapi_extra=_FORM,
    response_class=Response,
    responses={200: {"content": {"image/png": {}}}},
)
async def post_preview(request: Request, service: ServiceOf) -> Response:
    """A crop of at most 65536 pixels, enlarged at once as a PNG: what the options do."""
    async with _received(request, service, lambda: _CROP_BYTES) as (id_, form, path):
        try:
            async with service.turn(service.previews):
                content = await run_in_threadpool(_enlarge_crop, service, form, path)
        finally:
            await run_in_threadpool(service.folder.remove, id_)
    return Response(content, media_type="image/png")


def _enlarge_crop(service: Service, form: Form, path: Path) -> bytes:
    options = parse_options(form.fields.get(OPTIONS, ""))
    if has_film_suffix(Path(form.name)):
        raise UsageError(f"{form.name}: want a picture, got a film")
    few = replace(service.settings, max_pixels=_CROP_PIXELS * 16)
    asked = make_request(path.read_bytes(), None, options, few)
    asked = asked.model_copy(update={"kind": "picture", "ext": "png"})
    content = run(asked, upscaler=service.engines).content
    assert content is not None, "bytes without a target come back as bytes"
    return content


__all__ = ["router"]
