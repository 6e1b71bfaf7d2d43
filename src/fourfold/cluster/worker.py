"""One worker: fetches an input, has it enlarged, puts the result, says what became of it."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

from fourfold.cluster.films import FilmInParts
from fourfold.cluster.manifest import Line, host
from fourfold.cluster.scratch import Scratch
from fourfold.cluster.table import Row, Task
from fourfold.errors import BackendError, FourfoldError, InputError, OutputError, UsageError, shown
from fourfold.files.addresses import Entry, StorageError, Store, beside, open_store
from fourfold.jobs.claims import Busy, Claims
from fourfold.jobs.engines import Engines, possible_models
from fourfold.jobs.film import film_engine
from fourfold.jobs.looks import remembered
from fourfold.jobs.outcome import Outcome
from fourfold.jobs.picture import open_picture, picture_record, target_of
from fourfold.jobs.pipeline import run
from fourfold.jobs.records import difference, read_record
from fourfold.jobs.request import Request
from fourfold.jobs.stages import Cancelled

logger = logging.getLogger(__name__)

_RECORD: Final = 4096
"""Bytes at the end of a result that hold its record (`jobs.records`)."""
_WAIT: Final = 1.0
"""Seconds before a second try, doubled for each further one."""

_PIXELS: Final = ("scale", "fit", "suffix", "ext", "quality")
_FRAMES: Final = ("codec", "crf", "preset", "start", "end", "frames", "preview")


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """All inputs of one folder and what is wanted of them; plain data."""

    source: str
    """Address of a folder."""
    target: str
    """Address of the folder of the results."""
    request: Request
    """The options; its source and target say nothing."""
    only: str | None = None
    """The one file of the source that is meant."""
    recursive: bool = False
    retries: int = 2
    """Further tries of what may succeed another time."""


def settings_of(request: Request, engines: Engines) -> str:
    """Hash of all that changes a result: 16 hexadecimal digits."""
    upscaler, *others = (engines.of(request, choice) for choice in possible_models(request))
    names = (*_PIXELS, *(_FRAMES if request.is_film else ()))
    said: dict[str, Any] = {name: getattr(request, name) for name in names}
    said |= {"weights": upscaler.network.sha256, "tta": upscaler.tta}
    said |= {"consistency": upscaler.consistency, "precision": upscaler.choice.precision}
    if others:  # `auto` takes one of them for each input
        said["others"] = [[other.network.sha256, other.consistency] for other in others]
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


@dataclass(slots=True)
class Worker:
    """Does tasks, several at once if asked from several threads; one network runs at a time."""

    batch: Batch
    settings: dict[str, str]
    """`still` and `film`: the hashes that lines bear."""
    unrecorded: bool = True
    """Whether results may be there that the manifest does not know."""
    stop: threading.Event = field(default_factory=threading.Event)
    engines: Engines = field(default_factory=Engines)
    _turn: threading.Lock = field(default_factory=threading.Lock)
    _scratch: Scratch = field(default_factory=Scratch)
    _stores: tuple[Store, Store] | None = None

    @property
    def stores(self) -> tuple[Store, Store]:
        """Where inputs come from and where results go."""
        if self._stores is None:
            batch = self.batch
            self._stores = open_store(batch.source), open_store(batch.target, write=True)
        return self._stores

    def close(self) -> None:
        """Remove scratch files."""
        self._scratch.close()

    def do(self, task: Task) -> list[Line] | int:
        """What became of each input of a task. Raises `Cancelled` and `UsageError` only.

        For the first steps of a film in parts it is a number, unless they fail: see `films.step`.
        """
        claims = Claims()
        with tempfile.TemporaryDirectory(dir=self._scratch.folder) as folder:
            for row in task.rows:
                if not row.wanted and row.output is not None:
                    claims.own(self._place(Path(folder), row.output), row.key)
            if task.step is not None:
                return self._film(task, Path(folder))
            wanted = [row for row in task.rows if row.wanted]
            return [
                self._line(row, Path(folder), partial(self._enlarge, row, Path(folder), claims))
                for row in wanted
            ]

    def _place(self, folder: Path, output: str) -> Path:
        """Where a result is made: in its place, or in scratch."""
        return self.stores[1].local(output) or folder / "out" / Path(output).name

    def _film(self, task: Task, folder: Path) -> list[Line] | int:
        """A step of a film whose segments several workers make."""
        (row,) = task.rows
        number = 0

        def work() -> tuple[Outcome, Entry | None]:
            nonlocal number
            request = self._in_scratch(row, self._fetched(row, folder), folder)
            film = FilmInParts(
                request, film_engine(request, self.engines)[0], self.stores[1], row.key
            )
            if task.step == "join":
                film.gather()
                made = self._published(row, self._run(row, request, Claims()))
                film.forget()
                return made
            if task.step == "split":
                number = film.count(overwrite=self.batch.request.overwrite or row.replace)
            else:
                with self._turn:
                    film.render(int(task.step or 0), self.stop)
            return Outcome(input=row.key, status="done"), None

        line = self._line(row, folder, work)
        return [line] if task.step == "join" or line.outcome == "failed" else number

    def _line(
        self, row: Row, folder: Path, work: Callable[[], tuple[Outcome, Entry | None]]
    ) -> Line:
        started = time.perf_counter()
        tries, made, outcome = 0, None, None
        while outcome is None:
            tries += 1
            try:
                outcome, made = work()
            except (Cancelled, UsageError):
                raise
            except Exception as error:
                if tries <= self.batch.retries and _may_pass(error):
                    logger.info("%s: another try after: %s", row.key, error)
                    if self.stop.wait(_WAIT * 2 ** (tries - 1)):
                        raise Cancelled("stopped") from error
                    continue
                outcome = Outcome(input=row.key, status="failed", reason=_reason(row.key, error))
        reason = outcome.reason
        if reason is not None:  # scratch has other names
            reason = reason.replace(str(folder / Path(row.key).name), row.key)
            reason = reason.replace(f"{folder / 'out'}{os.sep}", "")
        return Line(
            key=row.key,
            size=row.size,
            etag=row.tag,
            settings=self.settings["film" if self._request(row.key).is_film else "still"],
            model=outcome.model,
            outcome=outcome.status,
            reason=reason,
            output=None if made is None else made.key,
            output_size=None if made is None else made.size,
            output_etag=None if made is None else made.tag,
            seconds=round(time.perf_counter() - started, 3),
            tries=tries,
            host=host(),
            time=time.time(),
        )

    def _request(self, key: str, **update: Any) -> Request:
        return self.batch.request.model_copy(update={"source": key, **update})

    def _fetched(self, row: Row, folder: Path) -> Path:
        """The input as a local file."""
        source = self.stores[0]
        path = source.local(row.key)
        if path is None:
            path = folder / Path(row.key).name
            try:
                source.fetch(row.key, path)
            except FileNotFoundError as error:
                raise InputError(f"{row.key}: is no longer there") from error
        return path

    def _in_scratch(self, row: Row, path: Path, folder: Path) -> Request:
        """A request whose result is to be put elsewhere."""
        into = str(folder / "out") + os.sep
        return self._request(str(path), target=into, relative=Path(row.key).name, overwrite=True)

    def _enlarge(self, row: Row, folder: Path, claims: Claims) -> tuple[Outcome, Entry | None]:
        """The outcome and the result where it stands."""
        path = self._fetched(row, folder)
        overwrite = self.batch.request.overwrite or row.replace
        if self.stores[1].local(row.key) is not None:
            request = self._request(str(path), target=self.batch.target, relative=row.key)
            return self._in_place(row, request, claims, overwrite)
        request = self._in_scratch(row, path, folder)
        if self.unrecorded and not overwrite:
            found = self._unrecorded(row, request)
            if found is not None:
                return Outcome(input=row.key, status="done"), found
        return self._published(row, self._run(row, request, claims))

    def _published(self, row: Row, outcome: Outcome) -> tuple[Outcome, Entry | None]:
        if outcome.path is None:
            return outcome, None
        key = beside(row.key, outcome.path.name)
        return outcome, self.stores[1].publish(outcome.path, key)

    def _in_place(
        self, row: Row, request: Request, claims: Claims, overwrite: bool
    ) -> tuple[Outcome, Entry | None]:
        """As on one machine; a result that is older than its input is replaced."""
        target = self.stores[1]
        for replacing in (overwrite, True):
            request = request.model_copy(update={"overwrite": replacing})
            outcome = self._run(row, request, claims)
            if outcome.path is None:
                return outcome, None
            key = Path(os.path.relpath(outcome.path, self.batch.target)).as_posix()
            made = target.stat(key)
            if outcome.status != "skipped" or replacing:
                break
            if made is not None and (row.modified or 0) <= (made.modified or 0):
                return replace(outcome, status="done", reason=None), made
        return outcome, made

    def _run(self, row: Row, request: Request, claims: Claims) -> Outcome:
        outcome = run(
            request, upscaler=self.engines, stop=self.stop, claims=claims, turn=self._turn
        )
        return replace(outcome, input=row.key)

    def _unrecorded(self, row: Row, request: Request) -> Entry | None:
        """The result as an earlier run has put it, that ended before it could say so."""
        if request.is_film:
            return None
        with open_picture(request) as source:
            wanted = target_of(request, source, self.engines.of(request))
        assert wanted.path is not None, "the target is a folder"
        store = self.stores[1]
        found = store.stat(beside(row.key, wanted.path.name))
        if found is None or found.modified is None or row.modified is None:
            return None
        if found.modified < row.modified:
            return None
        end = self._scratch.folder / f"{threading.get_ident()}.end"
        end.write_bytes(store.read(found.key, last=_RECORD))
        made = read_record(end)
        upscaler = self.engines.of(request, remembered(request, made))
        same = made and difference(made, picture_record(request, wanted, upscaler)) is None
        return found if same else None


def _may_pass(error: Exception) -> bool:
    """Whether another try may succeed: not where the input itself is at fault.

    Who is `Busy` may be a second run, whose result is then found.
    """
    if isinstance(error, (StorageError, BackendError, MemoryError, Busy)):
        return True
    return isinstance(error, OutputError) and isinstance(error.__cause__, OSError)


def _reason(key: str, error: Exception) -> str:
    if not isinstance(error, FourfoldError):
        logger.error("%s", key, exc_info=error)
        return f"{shown(key)}: {type(error).__name__}: {shown(str(error))}"
    return str(error) if shown(Path(key).name) in str(error) else f"{shown(key)}: {error}"


__all__ = ["Batch", "Worker", "settings_of"]
