"""What became of each input, in the folder of the results, written while the work goes on.

`_fourfold/part-*.jsonl` holds a line for each input and is put whole, so it can be read at any time
and by anyone; where two lines name one input the later holds. Parts of a finished run are put
together. `_fourfold/failed.jsonl` lists what failed, and `_SUCCESS` comes last, when nothing has.
"""

from __future__ import annotations

import json
import logging
import math
import os
import platform
import secrets
import tempfile
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from operator import itemgetter
from pathlib import Path
from typing import Any, Final, Literal

from fourfold.files.addresses import StorageError, Store

logger = logging.getLogger(__name__)

FOLDER: Final = "_fourfold"
SUCCESS: Final = "_SUCCESS"
FAILED: Final = f"{FOLDER}/failed.jsonl"

_LINES: Final = 1000
_SECONDS: Final = 2.0
"""Of work whose lines a kill can cost; the results are recognised without them."""
_PATIENCE: Final = 60.0
"""Seconds for which a store that has taken lines may take none, before the run ends."""
COMPACT_LINES: Final = 250_000
"""Of a part that is put together from others."""


_FIELDS: Final = itemgetter(
    "key", "time", "size", "etag", "settings", "outcome", "output", "output_size"
)
_LATEST: Final = 1e11
"""A time no clock shows: the year 5138."""
_MOST: Final = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What became of one input."""

    key: str
    size: int | None
    etag: str
    """Of the input, or the time of its last change."""
    settings: str
    """Hash of all that changes the result, the model's weights included."""
    model: str
    outcome: Literal["done", "skipped", "failed"]
    reason: str | None = None
    output: str | None = None
    """Below the folder of the results."""
    output_size: int | None = None
    output_etag: str | None = None
    seconds: float = 0.0
    tries: int = 1
    host: str = ""
    time: float = 0.0
    """When, in seconds since 1970."""

    def text(self) -> str:
        """As a line of JSON; names that are no text as escapes."""
        return json.dumps(asdict(self), separators=(",", ":"))


def host() -> str:
    """The machine and process that write."""
    return f"{platform.node()}:{os.getpid()}"


class ManifestWriter:
    """Collects lines and puts them as parts, every two seconds at most. Thread-safe.

    Its lines are later than `after`, the last of the manifest, also where an earlier writer's clock
    was fast.
    """

    def __init__(self, store: Store, *, after: float = 0.0) -> None:
        self._store, self._after = store, after
        self._name = f"{FOLDER}/part-{time.time_ns():020d}-{secrets.token_hex(4)}"
        self._lines: list[str] = []
        self._number = 0
        self._lock = threading.Lock()
        self._put = self._tried = time.monotonic()

    def add(self, line: Line) -> None:
        """One more input is over and done with. `StorageError` when lines cannot be put for long."""
        if line.time <= self._after:
            line = replace(line, time=math.nextafter(self._after, math.inf))
        with self._lock:
            self._lines.append(line.text())
            now = time.monotonic()
            full = len(self._lines) >= _LINES and self._tried == self._put
            if not full and now - self._tried < _SECONDS:
                return
            self._tried = now
            try:
                self._flush()
            except StorageError as error:
                if not self._number or now - self._put > _PATIENCE:
                    raise
                logger.warning("lines are kept for another try: %s", error)

    def flush(self) -> None:
        """Put what is collected."""
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        if self._lines:
            put_lines(self._store, f"{self._name}-{self._number:06d}.jsonl", self._lines)
            self._number += 1
            self._lines = []
        self._put = self._tried = time.monotonic()


def put_lines(store: Store, key: str, lines: Iterable[str]) -> None:
    """A file of `lines`, whole, through a local scratch file."""
    with tempfile.TemporaryDirectory(prefix="fourfold-") as folder:
        path = Path(folder) / "lines"
        with path.open("w", encoding="ascii") as file:
            for line in lines:
                file.write(f"{line}\n")
        store.publish(path, key)


def parts(store: Store) -> list[str]:
    """Keys of the parts there are, oldest first."""
    found = (entry.key for page in store.pages(FOLDER, recursive=False) for entry in page)
    return sorted(key for key in found if key.startswith(f"{FOLDER}/part-"))


def read_part(store: Store, key: str) -> Iterator[str]:
    """Lines of a part, through local scratch. `FileNotFoundError` where it is not."""
    with tempfile.TemporaryDirectory(prefix="fourfold-") as folder:
        path = Path(folder) / "part"
        store.fetch(key, path)
        with path.open(encoding="ascii", errors="replace") as file:
            yield from file


def read_line(text: str) -> tuple[Any, ...] | None:
    """Key, time, size, etag, settings, outcome, output and its size; None for a damaged line.

    Names are bytes, since those of files need not be text.
    """
    try:
        key, time, size, tag, settings, outcome, output, made = _FIELDS(json.loads(text))
        sizes = (size is None or 0 <= size < _MOST) and (made is None or 0 <= made < _MOST)
        if not (
            sizes and 0 <= time < _LATEST and type(tag) is type(settings) is type(outcome) is str
        ):
            return None
        key = key.encode("utf-8", "surrogateescape")
        output = None if output is None else output.encode("utf-8", "surrogateescape")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return key, time, size, tag, settings, outcome, output, made


def compact(store: Store, lines: Iterator[str], replaced: Iterable[str]) -> None:
    """Put `lines` as few sorted parts, then remove the parts `replaced`, which they were read from."""
    name = f"{FOLDER}/part-{time.time_ns():020d}-{secrets.token_hex(4)}"
    number, done = 0, False
    while not done:
        count = 0

        def some() -> Iterator[str]:
            nonlocal count, done
            for line in lines:
                count += 1
                yield line
                if count == COMPACT_LINES:
                    return
            done = True

        put_lines(store, f"{name}-{number:06d}.jsonl", some())
        number += 1
    for key in replaced:
        store.remove(key)


__all__ = [
    "COMPACT_LINES",
    "FAILED",
    "FOLDER",
    "SUCCESS",
    "Line",
    "ManifestWriter",
    "compact",
    "host",
    "parts",
    "put_lines",
    "read_line",
    "read_part",
]
