"""Listing, planning and skipping a folder of a million pictures that exist only as names.

    python benchmarks/million_keys.py [--keys 1000000] [--json]

A run over a folder in which nothing is done yet, and a second one in which all but one in a
thousand are: keys a second and the peak of memory. No picture is enlarged.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from stamp import stamp

from fourfold.cluster.manifest import Line, compact
from fourfold.cluster.shards import Shard
from fourfold.cluster.table import Table
from fourfold.files.addresses import Entry, LocalStore

PAGE = 1000
SETTINGS = {"still": "0123456789abcdef", "film": "fedcba9876543210"}


def key(number: int) -> str:
    return f"album-{number % 997:03d}/year-{number % 31:02d}/picture-{number:09d}.jpg"


def pages(count: int, *, results: bool = False) -> Iterator[list[Entry]]:
    for start in range(0, count, PAGE):
        numbers = range(start, min(start + PAGE, count))
        if results:
            yield [Entry(f"{key(n)[:-4]}_x4.jpg", 160_000, f"r{n:x}") for n in numbers]
        else:
            yield [Entry(key(n), 10_000 + n % 9, f"{n:032x}", 1.5e9) for n in numbers]


def line(entry: Entry) -> str:
    return Line(
        key=entry.key,
        size=entry.size,
        etag=entry.tag,
        settings=SETTINGS["still"],
        model="srgan-x4",
        outcome="done",
        output=f"{entry.key[:-4]}_x4.jpg",
        output_size=160_000,
        output_etag="r",
        seconds=0.12,
        host="machine:1",
        time=1.7e9,
    ).text()


def plan(count: int, store: LocalStore, *, done: bool) -> int:
    """What is left to do, as a run finds out."""
    with closing(Table()) as table:
        table.add_inputs(pages(count), Shard(), without=None)
        table.add_outputs(pages(count, results=True) if done else iter(()))
        table.add_manifest(store)
        counts = table.counts(SETTINGS, overwrite=False)
        tasks = sum(1 for _ in table.tasks(SETTINGS, overwrite=False))
        assert counts.todo == tasks
        return tasks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    count = options.keys
    figures: dict[str, float] = {"keys": count}
    with tempfile.TemporaryDirectory() as folder:
        store = LocalStore(folder)
        for name in ("first", "second"):
            began, cpu = time.perf_counter(), time.process_time()
            figures[f"{name}_todo"] = plan(count, store, done=name == "second")
            figures[f"{name}_keys_per_second"] = round(count / (time.perf_counter() - began))
            figures[f"{name}_keys_per_cpu_second"] = round(count / (time.process_time() - cpu))
            if name == "first":
                entries = (entry for page in pages(count) for entry in page)
                done = (line(entry) for n, entry in enumerate(entries) if n % 1000)
                compact(store, done, [])
                figures["manifest_mb"] = round(
                    sum(p.stat().st_size for p in Path(folder).rglob("part-*")) / 1e6
                )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    figures["peak_mb"] = round(peak / (1e6 if sys.platform == "darwin" else 1e3))
    if options.json:
        print(json.dumps(figures))
        return
    print(stamp())
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):24s} {value:g}")


if __name__ == "__main__":
    main()
