"""The job store: what was asked and what became of it, in SQLite; progress only in memory."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal, cast

State = Literal["queued", "running", "done", "failed", "cancelled"]
ENDED: Final = ("done", "failed", "cancelled")

SUSPECT: Final = 3
ATTEMPTS: Final = 12
"""Starts of a job that each end with the whole service. It may be a victim, of a power cut or of the
job beside it: so it first goes behind all others, and only then is given up."""

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS jobs (
  id TEXT PRIMARY KEY,
  owner TEXT NOT NULL,
  idempotency TEXT,
  sha256 TEXT NOT NULL,
  name TEXT NOT NULL,
  suffix TEXT NOT NULL,
  film INTEGER NOT NULL,
  options TEXT NOT NULL,
  bytes INTEGER NOT NULL,
  state TEXT NOT NULL,
  attempts INTEGER NOT NULL DEFAULT 0,
  created REAL NOT NULL,
  ended REAL,
  result TEXT,
  result_bytes INTEGER NOT NULL DEFAULT 0,
  reason TEXT,
  facts TEXT NOT NULL DEFAULT '{}',
  version INTEGER NOT NULL,
  UNIQUE (owner, idempotency)
);
CREATE INDEX IF NOT EXISTS waiting ON jobs (state, film, created);
CREATE INDEX IF NOT EXISTS sizes ON jobs (bytes, result_bytes);
"""

_OF_USER: Final = "owner = ? AND state != 'cancelled'"
"""A job that is deleted is gone for its user, though its tile may have to end first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A row of the store."""

    id: str
    owner: str
    idempotency: str | None = None
    sha256: str
    """Of the file."""
    name: str
    """Of the file as its sender calls it; never a path here."""
    suffix: str
    film: bool
    options: dict[str, Any]
    bytes: int
    state: State = "queued"
    attempts: int = 0
    created: float = field(default_factory=time.time)
    ended: float | None = None
    result: str | None = None
    """Name of the file in the job's folder."""
    result_bytes: int = 0
    reason: str | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    """Of the outcome: size, model and why, notes, seconds."""
    version: int = 0
    """Grows with every change, progress included, also over restarts."""


@dataclass(frozen=True, slots=True)
class Tick:
    """How far a running job is."""

    share: float | None
    seconds_left: float | None
    version: int


class Taken(Exception):
    """The idempotency key has been used; `job` is what it made."""

    def __init__(self, job: Job) -> None:
        super().__init__(job.id)
        self.job = job


class Store:
    """Thread-safe. One process at a time; the caller holds the lock of the folder."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._ticks: dict[str, Tick] = {}
        self._base = _connect(path)
        self._base.executescript("PRAGMA journal_mode=WAL;" + _SCHEMA)
        # Who asks for a job does not wait for the disk, as who writes one does.
        self._reading, self._asked = threading.Lock(), _connect(path)
        row = self._base.execute("SELECT max(version) FROM jobs").fetchone()
        self._version = int(row[0] or 0)

    def close(self) -> None:
        """Write what is left of the log into the file."""
        with self._lock, self._reading:
            self._asked.close()
            self._base.close()

    def _next(self) -> int:
        # Milliseconds, so that numbers given to progress, which is not stored, do not come again.
        self._version = max(self._version + 1, time.time_ns() // 1_000_000)
        return self._version

    @contextmanager
    def _writing(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction; what is `durable` outlives a power cut and costs a wait for the disk."""
        with self._lock:
            self._base.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._base.execute("BEGIN IMMEDIATE")
            try:
                yield self._base
            except BaseException:
                self._base.execute("ROLLBACK")
                raise
            self._base.execute("COMMIT")

    def add(self, job: Job) -> Job:
        """Put a new job into the queue; `Taken` where its key made another one."""
        with self._writing(durable=True) as base:
            if job.idempotency is not None:
                row = base.execute(
                    "SELECT * FROM jobs WHERE owner = ? AND idempotency = ?",
                    (job.owner, job.idempotency),
                ).fetchone()
                if row is not None:
                    raise Taken(_job(row))
            job = replace(job, version=self._next())
            values = _row(job)
            marks = ", ".join("?" * len(values))
            base.execute(
                f"INSERT INTO jobs ({', '.join(values)}) VALUES ({marks})", tuple(values.values())
            )
        return job

    def get(self, id_: str, owner: str | None = None) -> Job | None:
        """None for ids that are unknown; for a user also those of others, and what is cancelled."""
        with self._reading:
            row = self._asked.execute("SELECT * FROM jobs WHERE id = ?", (id_,)).fetchone()
        job = None if row is None else self._current(_job(row))
        if job is None or owner is None:
            return job
        return job if job.owner == owner and job.state != "cancelled" else None

    def all(self, owner: str | None = None, *, limit: int = -1) -> list[Job]:
        """The newest first."""
        where, values = ("", ()) if owner is None else (f"WHERE {_OF_USER}", (owner,))
        with self._reading:
            rows = self._asked.execute(
                f"SELECT * FROM jobs {where} ORDER BY created DESC, id LIMIT ?", (*values, limit)
            ).fetchall()
        return [self._current(_job(row)) for row in rows]

    def update(self, id_: str, **values: Any) -> None:
        """Change a job; nothing where it is gone."""
        if "facts" in values:
            values["facts"] = json.dumps(values["facts"])
        with self._writing() as base:
            values["version"] = self._next()
            names = ", ".join(f"{name} = ?" for name in values)
            base.execute(f"UPDATE jobs SET {names} WHERE id = ?", (*values.values(), id_))
            if values.get("state") != "running":
                self._ticks.pop(id_, None)

    def take(self, *, film: bool) -> Job | None:
        """The job that has waited longest, now `running`."""
        with self._writing() as base:
            row = base.execute(
                "SELECT * FROM jobs WHERE state = 'queued' AND film = ? "
                "ORDER BY attempts >= ?, created, id LIMIT 1",
                (film, SUSPECT),
            ).fetchone()
            if row is None:
                return None
            job = _job(row)
            job = replace(job, state="running", attempts=job.attempts + 1, version=self._next())
            base.execute(
                "UPDATE jobs SET state = ?, attempts = ?, version = ? WHERE id = ?",
                (job.state, job.attempts, job.version, job.id),
            )
            self._ticks[job.id] = Tick(None, None, job.version)
            return job

    def remove(self, id_: str) -> None:
        """Forget a job."""
        with self._writing(durable=True) as base:
            base.execute("DELETE FROM jobs WHERE id = ?", (id_,))
            self._ticks.pop(id_, None)
            self._next()

    def report(self, id_: str, share: float | None, seconds_left: float | None) -> None:
        """Progress of a running job."""
        with self._lock:
            if id_ in self._ticks:
                self._ticks[id_] = Tick(share, seconds_left, self._next())

    def tick(self, id_: str) -> Tick | None:
        """The latest progress; None for jobs that do not run."""
        return self._ticks.get(id_)

    def changed(self, since: int, owner: str) -> tuple[list[Job], set[str]]:
        """Jobs of a user that changed after a version, the oldest change first; and all ids."""
        with self._lock:
            running = [id_ for id_, tick in self._ticks.items() if tick.version > since]
            marks = ", ".join("?" * len(running))
            rows = self._base.execute(
                f"SELECT * FROM jobs WHERE {_OF_USER} AND (version > ? OR id IN ({marks}))",
                (owner, since, *running),
            ).fetchall()
            ids = self._base.execute(f"SELECT id FROM jobs WHERE {_OF_USER}", (owner,)).fetchall()
            jobs = [self._current(_job(row)) for row in rows]
        return sorted(jobs, key=lambda job: job.version), {str(row[0]) for row in ids}

    def _current(self, job: Job) -> Job:
        tick = self._ticks.get(job.id)
        return job if tick is None else replace(job, version=max(job.version, tick.version))

    @property
    def version(self) -> int:
        """Of the latest change of any job."""
        return self._version

    def counts(self) -> dict[str, int]:
        """Jobs by state."""
        with self._reading:
            rows = self._asked.execute("SELECT state, count(*) FROM jobs GROUP BY state").fetchall()
        return {str(state): int(count) for state, count in rows}

    def stored(self) -> int:
        """Bytes of all inputs and results."""
        with self._reading:
            row = self._asked.execute("SELECT sum(bytes + result_bytes) FROM jobs").fetchone()
        return int(row[0] or 0)

    def recover(self) -> None:
        """After a start: what ran is queued again, unless it has ended the service too often."""
        again = "state = 'running' AND attempts"
        said = f"the service ended {ATTEMPTS} times while this was under way; it is given up"
        with self._writing() as base:
            base.execute(
                f"UPDATE jobs SET state = 'failed', reason = ?, ended = ? WHERE {again} >= ?",
                (said, time.time(), ATTEMPTS),
            )
            base.execute(f"UPDATE jobs SET state = 'queued' WHERE {again} < ?", (ATTEMPTS,))

    def expired(self, before: float) -> list[Job]:
        """Jobs that ended before a time."""
        with self._reading:
            rows = self._asked.execute("SELECT * FROM jobs WHERE ended < ?", (before,)).fetchall()
        return [_job(row) for row in rows]


def _connect(path: Path) -> sqlite3.Connection:
    base = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    base.row_factory = sqlite3.Row
    return base


def _row(job: Job) -> dict[str, Any]:
    values = {name: getattr(job, name) for name in Job.__dataclass_fields__}
    return {**values, "options": json.dumps(job.options), "facts": json.dumps(job.facts)}


def _job(row: sqlite3.Row) -> Job:
    values = dict(row)
    values["film"] = bool(values["film"])
    values["options"], values["facts"] = json.loads(values["options"]), json.loads(values["facts"])
    values["state"] = cast(State, values["state"])
    return Job(**values)


__all__ = ["ATTEMPTS", "ENDED", "SUSPECT", "Job", "State", "Store", "Taken", "Tick"]
