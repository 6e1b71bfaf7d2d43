"""A film through the same door as pictures; the work itself is in `jobs.films`."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from fourfold.engine.suits import Verdict
from fourfold.engine.upscaler import Upscaler
from fourfold.errors import OutputError, UsageError, option
from fourfold.files.paths import STDIO
from fourfold.films.encode import CODECS
from fourfold.jobs.claims import Claims, claim
from fourfold.jobs.engines import Engines
from fourfold.jobs.films.progress import Progress as FilmProgress
from fourfold.jobs.films.progress import Report as FilmReport
from fourfold.jobs.films.run import VideoResult, plan_video, run_video
from fourfold.jobs.films.settings import Plan
from fourfold.jobs.films.stream import plan_stream, stream_video
from fourfold.jobs.looks import Engine, engine_for, look_at_film
from fourfold.jobs.naming import named_file, placed
from fourfold.jobs.outcome import Outcome, Progress, Report
from fourfold.jobs.records import Record, engine_record, input_record, write_record
from fourfold.jobs.request import Request


@dataclass(slots=True, kw_only=True)
class Film:
    """A film under way; all its work is one step. `close` gives up the claim."""

    request: Request
    upscaler: Upscaler
    why: str
    """It runs on this one."""
    output: Path
    record: Record
    held: ExitStack
    result: VideoResult | None = None

    def enlarge(self, report: Report | None, stop: threading.Event | None) -> None:
        """From the last finished segment to the published file."""
        self.result = run_video(
            Path(self.request.name),
            self.output,
            self.upscaler,
            replace(self.request.film_settings(), overwrite=True),  # the claim has seen to it
            progress=None if report is None else _reported(self, report),
            cancel=None if stop is None else stop.is_set,
            sign=lambda part: write_record(part, self.record),
        )

    def finish(self, _stop: threading.Event | None) -> Outcome:
        """What became of it."""
        assert self.result is not None, "enlarge comes first"
        result = self.result
        return Outcome(
            input=self.request.name,
            status="failed" if result.damage else "done",
            path=result.output,
            reason=result.damage,
            width=result.width,
            height=result.height,
            is_film=True,
            frames=result.frames,
            shown=result.shown,
            resumed=result.resumed,
            repeated=result.repeated,
            model=self.upscaler.network.name,
            why=self.why,
            notes=result.notes,
        )

    def close(self) -> None:
        """Give up the claim."""
        self.held.close()


@dataclass(slots=True, kw_only=True)
class LiveFilm(Film):
    """A film to standard output; there is nothing to claim and nothing to go on from."""

    def enlarge(self, report: Report | None, stop: threading.Event | None) -> None:
        """To the end, or as long as somebody reads."""
        self.result = stream_video(
            Path(self.request.name),
            self.upscaler,
            self.request.film_settings(),
            progress=None if report is None else _reported(self, report),
            cancel=None if stop is None else stop.is_set,
        )

    def finish(self, stop: threading.Event | None) -> Outcome:
        """What became of it."""
        return replace(Film.finish(self, stop), path=None)


def prepare_film(request: Request, engines: Engines, claims: Claims) -> Film:
    """Read the headers, choose the model, decide what comes out and claim the result.

    Raises as `jobs.picture.prepare`.
    """
    upscaler, why = film_engine(request, engines)
    plan = plan_film(request, upscaler)
    if request.target == STDIO:
        return LiveFilm(
            request=request,
            upscaler=upscaler,
            why=why,
            output=plan.output,
            record={},
            held=ExitStack(),
        )
    film = Film(
        request=request,
        upscaler=upscaler,
        why=why,
        output=plan.output,
        record=film_record(request, plan, upscaler),
        held=ExitStack(),
    )
    try:
        claim(film.output, request, film.record, claims, film.held)
    except OSError as error:
        film.close()
        raise OutputError(f"{film.output}: cannot write ({error.strerror or error})") from error
    return film


def film_engine(request: Request, engines: Engines) -> Engine:
    """The engine for a film, which is looked at where that is left to `auto`."""

    @cache
    def planned() -> Plan:
        return plan_film(request, engines.of(request))

    def look() -> Verdict:
        return look_at_film(planned().info, request.film_settings().start)

    return engine_for(request, engines, look, lambda: planned().output)


def plan_film(request: Request, upscaler: Upscaler) -> Plan:
    """Everything decided before the first frame, the result's place included."""
    if request.path is None:
        raise UsageError(f"{request.name}: films are read from files only; name one")
    if request.target == STDIO:
        return plan_stream(request.path, upscaler, request.film_settings())
    target, settings = named_file(request), request.film_settings()
    plan = plan_video(request.path, target, upscaler, settings)
    if target is None and request.target is not None:
        folder = Path(request.target)
        if folder.exists() and not folder.is_dir():
            raise UsageError(
                f"{option('target', request.target)}: want a folder "
                "or a new name, such as film.mp4, got an "
                "existing file"
            )
        plan = replace(plan, output=placed(request, plan.output.name))
    return plan


def film_record(request: Request, plan: Plan, upscaler: Upscaler) -> Record:
    """What makes the result of a film what it is."""
    encoding, settings = plan.encoding, request.film_settings()
    codec = CODECS[encoding.codec]
    return {
        **engine_record(upscaler),
        **input_record(request),
        "size": [encoding.width, encoding.height],
        "codec": encoding.codec,
        "crf": codec.crf if encoding.crf is None else float(encoding.crf),
        "preset": encoding.preset or codec.preset,
        "start": None if settings.start is None else str(settings.start),
        "end": None if settings.end is None else str(settings.end),
        "frames": settings.frames,
        "preview": settings.preview,
        "pulldown": settings.pulldown,
    }


def _reported(film: Film, report: Report) -> FilmReport:
    def tell(now: FilmProgress) -> None:
        report(
            Progress(
                input=film.request.name,
                model=film.upscaler.network.name,
                why=film.why,
                stage=now.stage,
                done=now.frames,
                total=now.total or now.guess,
                seconds=now.seconds,
                seconds_left=now.seconds_left,
                detail=now,
            )
        )

    return tell


__all__ = ["Film", "LiveFilm", "film_engine", "film_record", "plan_film", "prepare_film"]
