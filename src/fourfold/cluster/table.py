"""Inputs, results and the manifest side by side in a scratch database: what is left to do.

A million keys are too many for dictionaries and few for SQLite, which joins them on disk.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, islice
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal

from fourfold.cluster.manifest import (
    COMPACT_LINES,
    FOLDER,
    SUCCESS,
    parts,
    read_line,
    read_part,
)
from fourfold.cluster.shards import Shard
from fourfold.files.addresses import Entry, Store
from fourfold.films.probe import has_film_suffix
from fourfold.pictures.formats import has_picture_suffix

_PAGE: Final = 2000
_TABLES: Final = """
PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -65536;
CREATE TABLE inputs (stem BLOB, key BLOB, size INT, tag TEXT, modified REAL, film INT, mine INT,
  PRIMARY KEY (stem, key)) WITHOUT ROWID;
CREATE TABLE outputs (key BLOB PRIMARY KEY, size INT) WITHOUT ROWID;
CREATE TABLE lines (key BLOB PRIMARY KEY, time REAL, size INT, tag TEXT, settings TEXT,
  outcome TEXT, output BLOB, output_size INT, text INT) WITHOUT ROWID;
CREATE TABLE texts (number INTEGER PRIMARY KEY, line TEXT);
"""
_LINE: Final = """
INSERT INTO lines VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET
  time = excluded.time, size = excluded.size, tag = excluded.tag, settings = excluded.settings,
  outcome = excluded.outcome, output = excluded.output, output_size = excluded.output_size,
  text = excluded.text
WHERE excluded.time >= lines.time
"""
_JOINED: Final = """
FROM inputs i LEFT JOIN lines l ON l.key = i.key LEFT JOIN outputs o ON o.key = l.output
"""
_FINISHED: Final = """
l.outcome IN ('done', 'skipped') AND l.tag = i.tag AND l.size IS i.size AND l.settings =
CASE WHEN i.film THEN :film ELSE :still END AND o.key IS NOT NULL AND o.size IS l.output_size
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One input of a task."""

    key: str
    size: int | None
    tag: str
    modified: float | None
    wanted: bool = True
    """False: it is done, and here so that no other takes its result."""
    replace: bool = False
    """An earlier result is the manifest's, and out of date."""
    output: str | None = None
    """The earlier result."""


@dataclass(frozen=True, slots=True)
class Task:
    """Inputs that may have one result in common, since only their suffixes differ: mostly one."""

    rows: tuple[Row, ...]
    step: int | Literal["split", "join"] | None = None
    """Of a film that several workers make (`cluster.films`); None for the whole work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What there is and what is left of it."""

    inputs: int
    size: int
    """Of the inputs, in bytes."""
    todo: int
    todo_size: int
    unrecorded: bool
    """Whether results are there that no line of the manifest names."""


class Table:
    """A scratch database, removed by `close`."""

    def __init__(self, folder: Path | None = None) -> None:
        self._scratch = tempfile.TemporaryDirectory(prefix="fourfold-", dir=folder)
        self._db = sqlite3.connect(Path(self._scratch.name) / "keys", check_same_thread=False)
        self._db.executescript(_TABLES)
        self.parts: list[str] = []
        self._texts = 0

    def close(self) -> None:
        """Remove everything."""
        self._db.close()
        self._scratch.cleanup()

    def add_inputs(
        self, pages: Iterable[list[Entry]], shard: Shard, *, without: str | None
    ) -> None:
        """Pictures and films of a listing by their suffix, hidden ones and `without/` aside."""
        for page in pages:
            rows = (row for entry in page if (row := _input_row(entry, shard, without)))
            self._db.executemany("INSERT OR REPLACE INTO inputs VALUES (?, ?, ?, ?, ?, ?, ?)", rows)

    def add_outputs(self, pages: Iterable[list[Entry]]) -> None:
        """Results of a listing."""
        for page in pages:
            rows = ((_blob(e.key), e.size) for e in page if _is_seen(e.key))
            self._db.executemany("INSERT OR REPLACE INTO outputs VALUES (?, ?)", rows)

    def add_manifest(self, store: Store, *, fresh: bool = False) -> None:
        """All lines of all parts that have not been read yet.

        `fresh`: the results they name have come since they were listed.
        """
        while new := sorted(set(parts(store)) - set(self.parts)):
            for key in new:
                with suppress(FileNotFoundError):  # put together meanwhile, so there are new ones
                    self.add_lines(read_part(store, key), fresh=fresh)
            self.parts += new

    @property
    def is_compact(self) -> bool:
        """Whether putting the parts together would change little."""
        (lines,) = self._db.execute("SELECT count(*) FROM lines").fetchone()
        return len(self.parts) <= 1 + int(lines) // COMPACT_LINES

    def add_lines(self, texts: Iterable[str], *, fresh: bool = False) -> None:
        """Lines of the manifest, in any order; see `add_manifest`."""
        read = ((row, text) for text in texts if (row := read_line(text)))
        while page := list(enumerate(islice(read, _PAGE), self._texts)):
            self._texts += len(page)
            said = ((number, text.rstrip("\n")) for number, (_, text) in page)
            self._db.executemany("INSERT INTO texts VALUES (?, ?)", said)
            rows = [(*row, number) for number, (row, _) in page]
            self._db.executemany(_LINE, rows)
            if fresh:
                made = [(row[6], row[7]) for row in rows if row[6] is not None]
                self._db.executemany("INSERT OR REPLACE INTO outputs VALUES (?, ?)", made)

    def counts(self, settings: dict[str, str], *, mine: bool = True, overwrite: bool) -> Counts:
        """What is left, of the shard or of all."""
        todo = _todo(overwrite)
        where = "WHERE i.mine" if mine else ""
        inputs, size, left, left_size = self._db.execute(
            f"SELECT count(*), total(i.size), total({todo}), total(({todo}) * ifnull(i.size, 0)) "
            f"{_JOINED} {where}",
            settings,
        ).fetchone()
        (named,) = self._db.execute(
            "SELECT count(*) FROM lines l JOIN outputs o ON o.key = l.output"
        ).fetchone()
        (there,) = self._db.execute("SELECT count(*) FROM outputs").fetchone()
        return Counts(
            inputs=inputs,
            size=int(size),
            todo=int(left),
            todo_size=int(left_size),
            unrecorded=there > named,
        )

    def tasks(
        self, settings: dict[str, str], *, overwrite: bool, sample: int | None = None
    ) -> Iterator[Task]:
        """What is left of the shard, in the order of names; at most `sample` from all over."""
        todo = _todo(overwrite)
        query = (
            f"SELECT i.stem, i.key, i.size, i.tag, i.modified, {todo}, l.output, "
            f"l.outcome IN ('done', 'skipped') {_JOINED} WHERE i.mine "
        )
        if sample is not None:
            query += f"AND {todo} ORDER BY random() LIMIT {sample}"
        else:
            query += "ORDER BY i.stem, i.key"
        found = self._db.execute(query, settings)
        for _, rows in groupby(found, key=itemgetter(0)):
            group = list(rows)
            if any(row[5] for row in group):
                yield Task(tuple(map(_row, group)))

    def lines(self) -> Iterator[str]:
        """The manifest, each input once, in the order of names."""
        query = "SELECT t.line FROM lines l JOIN texts t ON t.number = l.text ORDER BY l.key"
        for (line,) in self._db.execute(query):
            yield line

    def latest(self) -> float:
        """The time of the last line, in seconds since 1970."""
        (time,) = self._db.execute("SELECT ifnull(max(time), 0) FROM lines").fetchone()
        return float(time)

    def failed(self) -> Iterator[str]:
        """Lines of inputs that are there and have failed."""
        query = (
            "SELECT t.line FROM lines l JOIN inputs i ON i.key = l.key "
            "JOIN texts t ON t.number = l.text WHERE l.outcome = 'failed'"
        )
        for (line,) in self._db.execute(f"{query} ORDER BY l.key"):
            yield line


def _todo(overwrite: bool) -> str:
    return "1" if overwrite else f"NOT ifnull({_FINISHED}, 0)"


def _row(found: tuple[Any, ...]) -> Row:
    _, key, size, tag, modified, todo, output, finished = found
    return Row(
        key=_text(key),
        size=size,
        tag=tag,
        modified=modified,
        wanted=bool(todo),
        replace=bool(todo) and bool(finished),
        output=None if output is None else _text(output),
    )


def _blob(key: str) -> bytes:
    return key.encode("utf-8", "surrogateescape")


def _text(key: bytes) -> str:
    return key.decode("utf-8", "surrogateescape")


def _is_seen(key: str) -> bool:
    """Neither hidden nor of the manifest."""
    ours = key == SUCCESS or key.startswith(f"{FOLDER}/")
    return not (ours or key.startswith(".") or "/." in key)


@lru_cache(4096)
def _kind(suffix: str) -> Literal["still", "film"] | None:
    name = Path(f"a.{suffix}")
    if has_film_suffix(name):
        return "film"
    return "still" if has_picture_suffix(name) else None


def _input_row(entry: Entry, shard: Shard, without: str | None) -> tuple[Any, ...] | None:
    """None for what is no input: see `Table.add_inputs`."""
    key = entry.key
    base, _, suffix = key.rpartition(".")
    kind = _kind(suffix)
    if kind is None or not _is_seen(key) or (without and key.startswith(f"{without}/")):
        return None
    stem = _blob(base.casefold())
    film, mine = kind == "film", shard.has(stem)
    return stem, _blob(key), entry.size, entry.tag, entry.modified, film, mine


__all__ = ["Counts", "Row", "Table", "Task"]
