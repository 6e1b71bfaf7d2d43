"""Workers of a Ray cluster. Rows travel, pixels never do: actors read and write storage themselves.

An actor that dies gives up what it had under way, which is done again by others. Where that was one
task, it is the suspect: after `retries` further deaths it is given up. Where it was several, each
is tried by itself first, so no task is blamed for another's.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from fourfold.cluster.manifest import Line
from fourfold.cluster.run import THREADS, Workers
from fourfold.cluster.table import Task
from fourfold.cluster.worker import Batch, Worker
from fourfold.engine.memory import parse_memory
from fourfold.errors import BackendError, MissingExtra, UsageError
from fourfold.films.probe import has_film_suffix
from fourfold.jobs.stages import Cancelled

logger = logging.getLogger(__name__)

_WAIT: Final = 0.2
_CORES: Final = 4
"""Of a worker, where the cluster has them: a network gains little from more."""
_OBJECTS: Final = 100 << 20
"""Bytes for Ray's object store, which holds rows only; 75 MB is the least it takes."""
_DECODED: Final = 20
"""Times the size of a file that its pixels take in memory, roughly."""
_STARTS: Final = 5
"""Tries to start Ray on this machine: it gives itself 30 s, too little where others are at work."""
_FALSE_STARTS: Final = 3
"""Workers in a row, for each that is wanted, that may die before they are ready."""


class Actor:
    """What Ray starts in a process of its own: a `Worker` with its own share of the cores."""

    def __init__(
        self, batch: Batch, settings: dict[str, str], unrecorded: bool, threads: int
    ) -> None:
        os.environ["VIPS_CONCURRENCY"] = str(threads)
        from fourfold.runtimes.openvino import limit_threads

        limit_threads(threads)
        self._worker = Worker(batch, settings, unrecorded=unrecorded)

    def ready(self) -> int:
        """The process, once it runs."""
        return os.getpid()

    def do(self, task: Task) -> list[Line] | int:
        """See `Worker.do`."""
        return self._worker.do(task)


@dataclass(slots=True, eq=False)
class _Member:
    """An actor and what it has under way."""

    actor: Any
    starting: Any
    """The answer that says it is ready; None once it has come."""
    tasks: dict[Any, Task] = field(default_factory=dict)
    alone: bool = False
    """Its task must have no company."""


class RayPool:
    """A pool of actors that is filled up again when some die."""

    def __init__(
        self,
        batch: Batch,
        settings: dict[str, str],
        *,
        unrecorded: bool,
        workers: Workers,
        stop: threading.Event,
    ) -> None:
        self._ray = _load_ray()
        self._batch, self._settings, self._stop = batch, settings, stop
        self._owns = _connect(self._ray, workers.address)
        cores = int(self._ray.cluster_resources().get("CPU", 1))
        self._most = workers.most or max(workers.least, cores // _CORES, 1)
        self._least = min(workers.least, self._most)
        self._memory = parse_memory(batch.request.max_memory)
        threads = max(1, cores // self._most)
        # More workers than cores share them: Ray starts no actor that it has no part of a core for.
        options: dict[str, Any] = {"num_cpus": min(threads, cores / self._most)}
        options |= {"max_concurrency": THREADS, "memory": self._memory}
        if batch.request.device == "cuda":
            options["num_gpus"] = 1
        self._class = self._ray.remote(Actor).options(**options)
        self._arguments = batch, settings, unrecorded, threads
        self._members: list[_Member] = []
        self._suspects: deque[Task] = deque()
        self._steps: deque[Task] = deque()
        self._films: dict[str, int] = {}
        """Parts of each film that are not done yet."""
        self._deaths: Counter[Task] = Counter()
        self._false_starts = 0
        self._began = False

    @property
    def workers(self) -> int:
        """See `Pool`."""
        return sum(member.starting is None for member in self._members)

    def close(self) -> None:
        """See `Pool`."""
        for member in self._members:
            self._ray.kill(member.actor)
        self._members = []
        if self._owns:
            self._ray.shutdown()

    def outcomes(self, tasks: Iterator[Task]) -> Iterator[list[Line]]:
        """See `Pool`."""
        following = self._next(tasks)
        while following is not None or self._suspects or self._under_way():
            if self._stop.is_set():
                raise Cancelled("stopped; finished results are kept, the same call goes on")
            self._start()
            self._give_suspects()
            while following is not None and self._give(following):
                following = self._next(tasks)
            yield from self._ended()
            following = following or self._next(tasks)

    def _next(self, tasks: Iterator[Task]) -> Task | None:
        """Steps of films under way come first, so that their segments do not pile up."""
        while self._steps:
            task = self._steps.popleft()
            if not isinstance(task.step, int) or task.rows[0].key in self._films:
                return task
        new = next(tasks, None)
        if new is None or self._most == 1 or len(new.rows) > 1 or not _is_film(new.rows[0].key):
            return new
        return replace(new, step="split")

    def _stepped(self, task: Task, answer: list[Line] | int) -> Iterator[list[Line]]:
        """What follows a task: lines, the parts of a film, or their joining."""
        film = task.rows[0].key
        if isinstance(answer, list):
            failed_before = isinstance(task.step, int) and film not in self._films
            self._films.pop(film, None)
            if not failed_before:
                yield answer
        elif task.step == "split":
            if answer > 1:
                self._films[film] = answer
            numbers: list[int | None] = [*range(answer)] if answer > 1 else [None]
            self._steps.extend(replace(task, step=number) for number in numbers)
        elif film in self._films:
            self._films[film] -= 1
            if not self._films[film]:
                del self._films[film]
                self._steps.append(replace(task, step="join"))

    def _under_way(self) -> int:
        return sum(len(member.tasks) for member in self._members)

    def _start(self) -> None:
        """Have as many actors as are wanted, running or asked for."""
        while len(self._members) < self._most:
            actor = self._class.remote(*self._arguments)
            self._members.append(_Member(actor, actor.ready.remote()))
        self._began = self._began or self.workers >= self._least

    def _give_suspects(self) -> None:
        for member in self._members:
            if self._suspects and member.starting is None and not member.tasks:
                self._hand(member, self._suspects.popleft(), alone=True)

    def _give(self, task: Task) -> bool:
        """Hand on to the actor with the least to do; False where none has room.

        Each has one more than it can begin, so that none waits for an answer to travel.
        """
        ready = [m for m in self._members if m.starting is None and not m.alone]
        if not ready or not self._began:
            return False
        member = min(ready, key=lambda m: len(m.tasks))
        need = self._need(task)
        used = sum(map(self._need, member.tasks.values()))
        if len(member.tasks) > THREADS or (member.tasks and used + need > self._memory):
            return False
        self._hand(member, task)
        return True

    def _hand(self, member: _Member, task: Task, *, alone: bool = False) -> None:
        member.alone = alone
        member.tasks[member.actor.do.remote(task)] = task

    def _need(self, task: Task) -> int:
        """Memory to be kept for a task: large pictures and films have their worker alone."""
        if any(_is_film(row.key) for row in task.rows):
            return self._memory
        return _DECODED * max(row.size or 0 for row in task.rows)

    def _ended(self) -> Iterator[list[Line]]:
        """Wait a moment for answers."""
        owners = {ref: member for member in self._members for ref in member.tasks}
        owners |= {m.starting: m for m in self._members if m.starting is not None}
        answered, _ = self._ray.wait(list(owners), num_returns=1, timeout=_WAIT)
        for ref in answered:
            member = owners[ref]
            try:
                answer = self._ray.get(ref)
            except self._ray.exceptions.RayTaskError as error:
                raise _told(error) from None
            except self._ray.exceptions.RayError as error:
                yield from self._died(member, error)
                continue
            if ref is member.starting:
                member.starting, self._false_starts = None, 0
                continue
            task = member.tasks.pop(ref)
            member.alone = member.alone and bool(member.tasks)
            yield from self._stepped(task, answer)

    def _died(self, member: _Member, error: Exception) -> Iterator[list[Line]]:
        """Take back what an actor had; lines of what is given up."""
        if member not in self._members:
            return
        self._members.remove(member)
        logger.warning("a worker died (%s); another takes its place", _first_line(error))
        if member.starting is not None:
            self._false_starts += 1
            if self._false_starts > _FALSE_STARTS * self._most:
                raise BackendError(f"--engine ray: workers do not start: {_first_line(error)}")
        tasks = list(member.tasks.values())
        for task in tasks:
            if len(tasks) == 1:
                self._deaths[task] += 1
            if self._deaths[task] > self._batch.retries:
                yield from self._stepped(task, self._given_up(task))
            else:
                self._suspects.append(task)

    def _given_up(self, task: Task) -> list[Line]:
        died = self._deaths.pop(task)
        return [
            Line(
                key=row.key,
                size=row.size,
                etag=row.tag,
                settings=self._settings["film" if _is_film(row.key) else "still"],
                model="",
                outcome="failed",
                reason=f"{row.key}: given up: {died} workers died over it",
                tries=died,
                time=time.time(),
            )
            for row in task.rows
            if row.wanted
        ]


def _is_film(key: str) -> bool:
    return has_film_suffix(Path(key))


def _load_ray() -> Any:
    # Read when Ray is imported. It would send statistics about its use.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
        import ray.exceptions
    except ImportError as error:
        raise MissingExtra("--engine ray", "cluster") from error
    return ray


def _connect(ray: Any, address: str | None) -> bool:
    """Join a cluster, or start one of this machine; whether it is ours to end."""
    if ray.is_initialized():
        return False
    options: dict[str, Any] = {"logging_level": logging.ERROR, "log_to_driver": False}
    if address is None:
        options |= {"include_dashboard": False, "object_store_memory": _OBJECTS}
        os.environ.setdefault("RAY_DISABLE_IMPORT_WARNING", "1")
    main = threading.current_thread() is threading.main_thread()
    before = signal.getsignal(signal.SIGTERM) if main else None
    try:
        _init(ray, address, options)
    finally:
        if main:
            signal.signal(signal.SIGTERM, before)  # Ray's own ends the process on the spot
    return True


def _init(ray: Any, address: str | None, options: dict[str, Any]) -> None:
    for tries_left in reversed(range(_STARTS)):
        try:
            # Without "local" Ray would join whatever cluster RAY_ADDRESS or this machine has.
            ray.init(address=address or "local", **options)
            return
        except (ConnectionError, ValueError) as error:
            raise UsageError(f"--address {address}: {_first_line(error)}") from error
        except Exception as error:
            ray.shutdown()
            if address is not None or not tries_left:
                raise BackendError(f"--engine ray: {_first_line(error)}") from error
            logger.info("another try to start Ray after: %s", _first_line(error))


def _told(error: Any) -> BaseException:
    """What a worker raised, as it was raised."""
    cause = error.cause if isinstance(error.cause, BaseException) else error
    return cause if isinstance(cause, UsageError) else BackendError(_first_line(cause))


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


__all__ = ["Actor", "RayPool"]
