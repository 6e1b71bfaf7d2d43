"""The short ways in: one picture file, bytes, one film; and what a request would do."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Unpack

from fourfold.engine.upscaler import Upscaler
from fourfold.errors import FourfoldError, UsageError
from fourfold.files.paths import STDIO
from fourfold.jobs.claims import Claims, check_place, existing
from fourfold.jobs.engines import Engines, pixel_rate
from fourfold.jobs.film import film_engine, film_record, plan_film
from fourfold.jobs.films.run import estimate_video
from fourfold.jobs.naming import named_file
from fourfold.jobs.outcome import Outcome, Plan, Report
from fourfold.jobs.picture import open_picture, picture_engine, picture_record, target_of
from fourfold.jobs.pipeline import run
from fourfold.jobs.records import Record
from fourfold.jobs.request import (
    BytesOptions,
    FilmOptions,
    PictureOptions,
    Request,
    unknown_option,
    want_request,
    want_requests,
)
from fourfold.jobs.size import work
from fourfold.pictures.encode import losses


def upscale_file(
    source: str | Path,
    target: str | Path | None = None,
    *,
    upscaler: Upscaler | None = None,
    progress: Report | None = None,
    stop: threading.Event | None = None,
    **options: Unpack[PictureOptions],
) -> Outcome:
    """Enlarge one picture file.

    Args:
        source: the picture.
        target: result file or folder; `<name>_x4.<ext>` beside the source by default.
        upscaler: one to reuse; the options that belong to it may then not be given.
        progress: see `run`.
        stop: see `run`.
        options: see `Request`.

    A result of the same settings that exists is kept and the outcome `skipped`. Raises
    `InputError` or `OutputError` naming the file, `UsageError` for wrong options.
    """
    _check_names(options, PictureOptions)
    request = Request(source=source, target=target, kind="picture", **options)
    return run(request, upscaler=upscaler, progress=progress, stop=stop)


def upscale_bytes(
    data: bytes, *, upscaler: Upscaler | None = None, **options: Unpack[BytesOptions]
) -> bytes:
    """Enlarge an encoded picture; thread-safe.

    Args:
        data: the picture, as a file holds it.
        upscaler: one to share; the options that belong to it may then not be given.
        options: see `Request`; `ext` is the format of the result.

    Raises `InputError`, `OutputError`, or `UsageError` for wrong options.
    """
    _check_names(options, BytesOptions)
    if not isinstance(data, bytes):
        raise UsageError(f"data: want bytes, got {type(data).__name__}")
    content = run(Request(source=data, kind="picture", **options), upscaler=upscaler).content
    assert content is not None, "bytes without a target come back as bytes"
    return content


def upscale_video(
    source: str | Path,
    target: str | Path | None = None,
    *,
    upscaler: Upscaler | None = None,
    progress: Report | None = None,
    stop: threading.Event | None = None,
    **options: Unpack[FilmOptions],
) -> Outcome:
    """Enlarge a film file; everything but the pictures is kept as it is.

    Args:
        source: the film.
        target: result file or folder; a name beside the source by default.
        upscaler: one to reuse; the options that belong to it may then not be given.
        progress: called before the first frame and after every frame.
        stop: when set, the work ends with `Cancelled`. Calling again with the same arguments goes
            on from the last finished segment.
        options: see `Request`.

    Raises `InputError` or `OutputError` naming the file, `UsageError` for wrong options,
    `MissingExtra` without PyAV.
    """
    _check_names(options, FilmOptions)
    request = Request(source=source, target=target, kind="film", **options)
    return run(request, upscaler=upscaler, progress=progress, stop=stop)


def _check_names(options: Mapping[str, Any], known: Any) -> None:
    """`UsageError` for options of another kind of work."""
    for name in options:
        if name not in known.__annotations__:
            raise UsageError(unknown_option(name, known.__annotations__))


def plan(request: Request, *, upscaler: Upscaler | Engines | None = None) -> Plan:
    """What `run` would do, from the headers of the source and a look at it; nothing is written.

    Raises as `run`, but for a result that exists, which the plan tells.
    """
    want_request(request)
    return _plan(request, Engines.among(upscaler))


def plan_all(
    requests: Iterable[Request], *, upscaler: Upscaler | None = None
) -> Iterator[Plan | Outcome]:
    """The plan of each request; a failed outcome for one that cannot be carried out."""
    engines, owners = Engines(upscaler), Claims()
    for request in want_requests(requests):
        engines.of(request)  # a bad model is one error, not one for each picture
        try:
            made = _plan(request, engines)
            if made.path is not None:
                owners.own(made.path, request.name)
        except UsageError:
            raise
        except FourfoldError as error:
            yield Outcome(input=request.name, status="failed", reason=str(error))
        else:
            yield made


def _plan(request: Request, engines: Engines) -> Plan:
    request.refuse_useless()
    engines.of(request)  # as in `jobs.pipeline.prepare_job`
    return _plan_film(request, engines) if request.is_film else _plan_picture(request, engines)


def _plan_picture(request: Request, engines: Engines) -> Plan:
    with open_picture(request) as source:
        upscaler, why = picture_engine(request, source, engines)
        target = target_of(request, source, upscaler)
        pages = max(source.pages, source.sheets)
        rate = pixel_rate(upscaler)
        size, wanted = (source.height, source.width), (target.height, target.width)
        seconds = work(size, wanted, upscaler.scale) * pages / rate
        return Plan(
            input=request.name,
            path=target.path,
            width=target.width,
            height=target.height,
            count=pages,
            shown=(target.width, target.height),
            seconds=seconds,
            megapixels_per_second=target.width * target.height * pages / seconds / 1e6,
            model=upscaler.network.name,
            why=why,
            exists=_existing(
                target.path, request, lambda: picture_record(request, target, upscaler)
            ),
            notes=(*target.notes, *losses(source, target.form)),
        )


def _plan_film(request: Request, engines: Engines) -> Plan:
    upscaler, why = film_engine(request, engines)
    plan, settings = plan_film(request, upscaler), request.film_settings()
    assert request.path is not None, "plan_film has refused it"
    to_file = request.target != STDIO
    target = named_file(request) if to_file else plan.output
    estimate = estimate_video(request.path, target, upscaler, settings)
    return Plan(
        input=request.name,
        path=plan.output if to_file else None,
        width=estimate.width,
        height=estimate.height,
        count=estimate.frames,
        shown=estimate.shown,
        guess=estimate.guess,
        seconds=estimate.seconds,
        megapixels_per_second=estimate.megapixels_per_second,
        model=upscaler.network.name,
        why=why,
        exists=_existing(plan.output, request, lambda: film_record(request, plan, upscaler))
        if to_file
        else None,
        notes=estimate.notes,
        is_film=True,
    )


def _existing(path: Path | None, request: Request, record: Callable[[], Record]) -> str | None:
    if path is None:
        return None
    check_place(path)
    if not path.exists():
        return None
    return "exists and is replaced" if request.overwrite else existing(path, record())


__all__ = ["plan", "plan_all", "upscale_bytes", "upscale_file", "upscale_video"]
