"""A folder of any size from listing to `_SUCCESS`, by threads of this process or by a pool."""

from __future__ import annotations

import json
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, Protocol

from fourfold.cluster.manifest import (
    FAILED,
    SUCCESS,
    Line,
    ManifestWriter,
    compact,
    put_lines,
)
from fourfold.cluster.shards import Shard
from fourfold.cluster.table import Counts, Table, Task
from fourfold.cluster.worker import Batch, Worker, settings_of
from fourfold.errors import FourfoldError, InputError, OutputError, UsageError
from fourfold.files.addresses import Entry, Store, open_store, scheme
from fourfold.jobs.engines import Engines, pixel_rate
from fourfold.jobs.stages import Cancelled, Stop

THREADS: Final = 3
"""Tasks at once for each network: one is read, one enlarged, one written."""
SAMPLE: Final = 10
"""Pictures that an estimate enlarges."""
_WAIT: Final = 0.2


class TooManyFailures(FourfoldError):
    """More inputs have failed than were allowed; what is finished is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workers:
    """Who does the work."""

    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    """Of a Ray cluster: `auto`, `ray://host:port`. None: one of this machine, for this run."""
    least: int = 1
    """Workers to be ready before the work begins."""
    most: int | None = None
    """None: one for every four cores."""

    @classmethod
    def parse(cls, engine: str, address: str | None, workers: str | None) -> Workers:
        """From the command line's words; `UsageError` for what makes no sense."""
        if engine not in ("local", "ray"):
            raise UsageError(f"--engine: want local or ray, got {engine!r}")
        least, _, most = (workers or "1:").partition(":")
        numbers = [least, *([most] if most else [])]
        if not all(n.isdecimal() and int(n) for n in numbers):
            raise UsageError(f"--workers: want MIN:MAX, such as 1:8, or N, got {workers!r}")
        limit = int(numbers[-1]) if most or (workers and ":" not in workers) else None
        if limit is not None and limit < int(least):
            raise UsageError(f"--workers: want MIN up to MAX, got {workers!r}")
        return cls(
            engine="ray" if engine == "ray" else "local",
            address=address,
            least=int(least),
            most=limit,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """How far a run is."""

    todo: int
    """Inputs that were left when it began."""
    kept: int
    """Inputs whose results were there."""
    done: int = 0
    failed: int = 0
    workers: int = 1
    seconds: float = 0.0
    """Since the work began."""
    line: Line | None = None
    """What has just become of an input."""

    @property
    def rate(self) -> float:
        """Inputs a second."""
        return (self.done + self.failed) / self.seconds if self.seconds else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run would cost, by a few of its inputs enlarged here and thrown away."""

    counts: Counts
    sampled: int
    seconds: float | None
    """Of one worker like this process for all that is left; None where nothing could be sampled."""
    workers: int

    @property
    def hours(self) -> float | None:
        """Of all workers at once."""
        return None if self.seconds is None else self.seconds / 3600 / self.workers

    @property
    def machine_hours(self) -> float | None:
        """Of all workers added up."""
        return None if self.seconds is None else self.seconds / 3600


class Pool(Protocol):
    """Does tasks in any order."""

    @property
    def workers(self) -> int:
        """That are ready now."""

    def outcomes(self, tasks: Iterator[Task]) -> Iterator[list[Line]]:
        """Lines of each task as it ends; takes no more tasks than it has room for."""

    def close(self) -> None:
        """End at once; what is under way is given up."""


class LocalPool:
    """Threads around one network."""

    workers = 1

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="fourfold-task")

    def outcomes(self, tasks: Iterator[Task]) -> Iterator[list[Line]]:
        """See `Pool`."""
        under_way: set[Future[list[Line] | int]] = set()
        left = True
        while left or under_way:
            while left and len(under_way) <= THREADS:
                task = next(tasks, None)
                left = task is not None
                if task is not None:
                    under_way.add(self._threads.submit(self._worker.do, task))
            done, under_way = wait(under_way, timeout=_WAIT, return_when=FIRST_COMPLETED)
            if self._worker.stop.is_set():
                raise Cancelled("stopped; finished results are kept, the same call goes on")
            for future in done:
                yield _lines(future.result())

    def close(self) -> None:
        """See `Pool`."""
        self._worker.stop.set()
        self._threads.shutdown(wait=True, cancel_futures=True)
        self._worker.close()


def _lines(answer: list[Line] | int) -> list[Line]:
    assert isinstance(answer, list), "only steps of a film answer with a number"
    return answer


class _Plan:
    """A batch with its listings in a table; `close` removes it."""

    def __init__(self, batch: Batch, shard: Shard) -> None:
        self.batch = batch
        self.engines = Engines()
        self.target = open_store(batch.target, write=True)
        self.table = Table()
        try:
            self._read(shard)
        except BaseException:
            self.table.close()
            raise

    def _read(self, shard: Shard) -> None:
        batch = self.batch
        source = open_store(batch.source)
        pages = _only(source, batch.only) if batch.only else source.pages(recursive=batch.recursive)
        self.table.add_inputs(pages, shard, without=_below(batch.source, batch.target))
        self.table.add_outputs(self.target.pages())
        self.table.add_manifest(self.target)
        still = batch.request.model_copy(update={"source": "a.png", "kind": "picture"})
        film = batch.request.model_copy(update={"source": "a.mp4", "kind": "film"})
        self.settings = {
            "still": settings_of(still, self.engines),
            "film": settings_of(film, self.engines),
        }
        self.counts = self.table.counts(self.settings, overwrite=batch.request.overwrite)
        if not self.counts.inputs and shard.count == 1:
            raise InputError(f"{batch.source}: no picture or film{_hint(batch)}")

    def worker(self, stop: threading.Event) -> Worker:
        """One of this process."""
        return Worker(
            self.batch,
            self.settings,
            unrecorded=self.counts.unrecorded,
            stop=stop,
            engines=self.engines,
        )

    def close(self) -> None:
        """Remove the table."""
        self.table.close()


@contextmanager
def _planned(batch: Batch, shard: Shard) -> Iterator[_Plan]:
    try:
        with closing(_Plan(batch, shard)) as plan:
            yield plan
    except sqlite3.Error as error:
        raise OutputError(
            f"{tempfile.gettempdir()}: the table of keys needs half a kilobyte there for each "
            f"input; make room or set TMPDIR ({error})"
        ) from error


def run_batch(
    batch: Batch,
    *,
    shard: Shard | None = None,
    workers: Workers | None = None,
    max_errors: int | None = None,
    report: Callable[[State], None] | None = None,
    stop: threading.Event | None = None,
) -> State:
    """Enlarge what is missing or changed of a folder; the results and a manifest are put whole.

    Args:
        batch: what and how.
        shard: the share of this process; None for all.
        workers: who does it; None for this process.
        max_errors: failed inputs after which it ends with `TooManyFailures`; None for any number.
        report: called when the work begins and after each input.
        stop: when set, it ends with `Cancelled`; the same call goes on.

    Raises `InputError` for a folder without pictures, `UsageError`, and `StorageError` where
    listings or the manifest cannot be read or written.
    """
    shard, workers = shard or Shard(), workers or Workers()
    with _planned(batch, shard) as plan:
        todo = plan.counts.todo
        state = State(todo=todo, kept=plan.counts.inputs - todo)
        if report is not None:
            report(state)
        try:
            if todo:
                plan.target.remove(SUCCESS)
                state = _work(plan, workers, state, max_errors, report, Stop(stop))
        except TooManyFailures:
            _finish(plan, shard)  # with the list of them
            raise
        _finish(plan, shard)
    return state


def _work(
    plan: _Plan,
    workers: Workers,
    state: State,
    max_errors: int | None,
    report: Callable[[State], None] | None,
    stop: threading.Event,
) -> State:
    writer = ManifestWriter(plan.target, after=plan.table.latest())
    tasks = plan.table.tasks(plan.settings, overwrite=plan.batch.request.overwrite)
    pool = _open_pool(plan, workers, stop)
    started = time.perf_counter()
    try:
        for lines in pool.outcomes(tasks):
            for line in lines:
                writer.add(line)
                state = replace(
                    state,
                    done=state.done + (line.outcome != "failed"),
                    failed=state.failed + (line.outcome == "failed"),
                    workers=pool.workers,
                    seconds=time.perf_counter() - started,
                    line=line,
                )
                if report is not None:
                    report(state)
            if max_errors is not None and state.failed > max_errors:
                raise TooManyFailures(
                    f"{plan.batch.source}: {state.failed} inputs have failed, more than --max-errors "
                    f"{max_errors}; the list is {plan.batch.target.rstrip('/')}/{FAILED}"
                )
    finally:
        try:
            writer.flush()
        finally:
            pool.close()
    return state


def _open_pool(plan: _Plan, workers: Workers, stop: threading.Event) -> Pool:
    if workers.engine == "local":
        return LocalPool(plan.worker(stop))
    from fourfold.cluster.ray import RayPool

    return RayPool(
        plan.batch, plan.settings, unrecorded=plan.counts.unrecorded, workers=workers, stop=stop
    )


def _finish(plan: _Plan, shard: Shard) -> None:
    """List what failed; put the manifest together and say `_SUCCESS` when nothing is left."""
    table, target = plan.table, plan.target
    table.add_manifest(target, fresh=True)
    failed = table.failed()
    first = next(failed, None)
    if first is None:
        target.remove(FAILED)
    else:
        put_lines(target, FAILED, _chained(first, failed))
    counts = table.counts(plan.settings, mine=False, overwrite=False)
    if (shard.count == 1 or not counts.todo) and not table.is_compact:
        compact(target, table.lines(), table.parts)
    if not counts.todo and target.stat(SUCCESS) is None:
        said = {"inputs": counts.inputs, "bytes": counts.size, **plan.settings}
        put_lines(target, SUCCESS, [json.dumps({**said, "time": time.time()})])


def _chained(first: str, rest: Iterator[str]) -> Iterator[str]:
    yield first
    yield from rest


def estimate_batch(
    batch: Batch, *, shard: Shard | None = None, workers: Workers | None = None
) -> Estimate:
    """What `run_batch` would cost, by ten inputs enlarged into scratch; nothing is put."""
    with _planned(batch, shard or Shard()) as plan, tempfile.TemporaryDirectory() as folder:
        still = batch.request.model_copy(update={"source": "a.png"})
        pixel_rate(plan.engines.of(still))  # opens the network, which the sample must not pay for
        into = replace(batch, target=str(Path(folder) / "out"), retries=0)
        worker = Worker(into, plan.settings, unrecorded=False, engines=plan.engines)
        seconds, size, count = 0.0, 0, 0
        with closing(worker):
            overwrite = batch.request.overwrite
            for task in plan.table.tasks(plan.settings, overwrite=overwrite, sample=SAMPLE):
                for line in _lines(worker.do(task)):
                    if line.outcome == "done":
                        seconds, count = seconds + line.seconds, count + 1
                        size += line.size or 0
        share = None
        if count:
            by_size = size and plan.counts.todo_size
            share = plan.counts.todo_size / size if by_size else plan.counts.todo / count
        asked = workers or Workers()
        return Estimate(
            counts=plan.counts,
            sampled=count,
            seconds=None if share is None else seconds * share,
            workers=asked.most or asked.least,
        )


def _only(source: Store, key: str) -> Iterator[list[Entry]]:
    entry = source.stat(key)
    if entry is None:
        raise InputError(f"{source.address}/{key}: no such file")
    yield [entry]


def _below(source: str, target: str) -> str | None:
    """Where the results stand below the folder of the inputs; `UsageError` when they are one."""
    if scheme(source) is None and scheme(target) is None:
        source, target = str(Path(source).resolve()), str(Path(target).resolve())
    source, target = source.rstrip("/\\"), target.rstrip("/\\")
    if source == target:
        raise UsageError(f"-o {target}: want another folder than the inputs'")
    inside = target.startswith((f"{source}/", f"{source}\\"))
    return target[len(source) + 1 :].replace("\\", "/") if inside else None


def _hint(batch: Batch) -> str:
    return "" if batch.recursive or batch.only else " (-r enters sub-folders)"


__all__ = [
    "Estimate",
    "LocalPool",
    "Pool",
    "State",
    "TooManyFailures",
    "Workers",
    "estimate_batch",
    "run_batch",
]
