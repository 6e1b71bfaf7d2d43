"""What is left to do of folders too large for memory."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from fourfold.cluster.manifest import Line, read_line
from fourfold.cluster.shards import Shard
from fourfold.cluster.table import Table
from fourfold.files.addresses import Entry, LocalStore

ROOT = Path(__file__).parents[2]
SETTINGS = {"still": "s", "film": "f"}


def line(key: str, *, time: float = 1, **fields: object) -> str:
    given = {"size": 5, "etag": "t", "settings": "s", "model": "m", "outcome": "done"}
    given |= {"output": f"{key}_x4", "output_size": 50, **fields}
    return Line(key=key, time=time, **given).text()  # type: ignore[arg-type]


def todo(table: Table) -> list[list[str]]:
    tasks = table.tasks(SETTINGS, overwrite=False)
    return [[row.key for row in task.rows if row.wanted] for task in tasks]


def test_only_pictures_and_films_that_are_seen_count() -> None:
    keys = ["a.png", "b.MP4", ".c.png", "x/.y/d.png", "_fourfold/e.png", "out/f.png", "g.txt"]
    with closing(Table()) as table:
        table.add_inputs([[Entry(key, 1, "t") for key in keys]], Shard(), without="out")
        assert todo(table) == [["a.png"], ["b.MP4"]]
        assert table.counts(SETTINGS, overwrite=False).inputs == 2


@pytest.mark.parametrize(
    "change",
    [
        {"etag": "u"},
        {"size": 6},
        {"settings": "other"},
        {"outcome": "failed"},
        {"output": "b"},
        {"output_size": 51},
    ],
)
def test_each_change_is_noticed(change: dict[str, object]) -> None:
    with closing(Table()) as table:
        table.add_inputs([[Entry("a.png", 5, "t")]], Shard(), without=None)
        table.add_outputs([[Entry("a.png_x4", 50, "o")]])
        table.add_lines([line("a.png")])
        assert todo(table) == []
        table.add_lines([line("a.png", time=2, **change)])
        assert todo(table) == [["a.png"]]
        table.add_lines([line("a.png", time=3)])
        assert todo(table) == []


def test_the_later_line_holds_whatever_the_order() -> None:
    for order in ((1, 2), (2, 1)):
        with closing(Table()) as table:
            texts = {1: line("a.png", outcome="failed"), 2: line("a.png", time=2)}
            table.add_lines(texts[number] for number in order)
            (kept,) = table.lines()
            assert json.loads(kept)["outcome"] == "done"


def test_damaged_lines_are_passed_over() -> None:
    damaged = ["", "{", "[]", "null", '{"key": 1, "time": 2}', '{"key": "a"}', "\ufffd"]
    assert [read_line(text) for text in damaged] == [None] * len(damaged)
    with closing(Table()) as table:
        table.add_lines([*damaged, line("a.png")])
        assert len(list(table.lines())) == 1


def test_names_that_are_no_text_survive() -> None:
    key = "a\udcff.png"
    with closing(Table()) as table:
        table.add_inputs([[Entry(key, 5, "t")]], Shard(), without=None)
        table.add_outputs([[Entry(f"{key}_x4", 50, "o")]])
        assert todo(table) == [[key]]
        table.add_lines([line(key)])
        assert todo(table) == []


def test_inputs_that_differ_in_their_suffix_stay_together() -> None:
    keys = ["a.png", "b.png", "A.jpg", "x/a.png"]
    with closing(Table()) as table:
        table.add_inputs([[Entry(key, 5, "t") for key in keys]], Shard(), without=None)
        assert todo(table) == [["A.jpg", "a.png"], ["b.png"], ["x/a.png"]]
        table.add_outputs([[Entry("a.png_x4", 50, "o")]])
        table.add_lines([line("a.png")])
        first = next(table.tasks(SETTINGS, overwrite=False))
        assert [(row.key, row.wanted, row.output) for row in first.rows] == [
            ("A.jpg", True, None),
            ("a.png", False, "a.png_x4"),
        ]


def test_parts_put_together_meanwhile_are_found(tmp_path: Path) -> None:
    class Store(LocalStore):
        def fetch(self, key: str, path: Path) -> None:
            if key == "_fourfold/part-1.jsonl" and (tmp_path / key).exists():
                (tmp_path / key).rename(tmp_path / "_fourfold" / "part-2.jsonl")
            super().fetch(key, path)

    (tmp_path / "_fourfold").mkdir()
    (tmp_path / "_fourfold" / "part-1.jsonl").write_text(line("a.png"))
    with closing(Table()) as table:
        table.add_manifest(Store(str(tmp_path)))
        assert len(list(table.lines())) == 1


@pytest.mark.slow
def test_many_keys_take_little_memory() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "million_keys.py"), "--keys"]
    peaks = []
    for keys in (1000, 100_000):
        done = subprocess.run(
            [*command, str(keys), "--json"], capture_output=True, text=True, check=True, timeout=250
        )
        said = json.loads(done.stdout)
        assert (said["first_todo"], said["second_todo"]) == (keys, keys // 1000)
        peaks.append(said["peak_mb"])
    assert peaks[1] - peaks[0] < 120
