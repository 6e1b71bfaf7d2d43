"""Lines on their way into the folder of the results."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fourfold.cluster import manifest
from fourfold.cluster.manifest import Line, ManifestWriter, parts, read_line, read_part
from fourfold.files.addresses import Entry, LocalStore, StorageError


def line(key: str, time: float = 1.0) -> Line:
    return Line(key=key, size=1, etag="t", settings="s", model="m", outcome="done", time=time)


class Moody(LocalStore):
    """A store that takes nothing while it is `down`."""

    down = False

    def publish(self, path: Path, key: str) -> Entry:
        if self.down:
            raise StorageError(f"{key}: the store says: slow down")
        return super().publish(path, key)


def keys(store: LocalStore) -> list[str]:
    texts = (text for part in parts(store) for text in read_part(store, part))
    return [json.loads(text)["key"] for text in texts]


def test_lines_wait_for_a_store_that_is_down_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_SECONDS", 0.0)
    store = Moody(str(tmp_path))
    writer = ManifestWriter(store)
    writer.add(line("a"))
    store.down = True
    writer.add(line("b"))
    writer.add(line("c"))
    assert keys(store) == ["a"]
    store.down = False
    writer.add(line("d"))
    assert keys(store) == ["a", "b", "c", "d"]
    store.down = True
    monkeypatch.setattr(manifest, "_PATIENCE", -1.0)
    with pytest.raises(StorageError, match="slow down"):
        writer.add(line("e"))
    store.down = False
    writer.flush()
    assert keys(store) == ["a", "b", "c", "d", "e"]


def test_a_store_that_has_taken_nothing_ends_it_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest, "_SECONDS", 0.0)
    store = Moody(str(tmp_path))
    store.down = True
    with pytest.raises(StorageError, match="slow down"):
        ManifestWriter(store).add(line("a"))


def test_lines_are_later_than_those_of_a_fast_clock(tmp_path: Path) -> None:
    store = LocalStore(str(tmp_path))
    writer = ManifestWriter(store, after=1e10)
    writer.add(line("a"))
    writer.add(line("b", 2e10))
    writer.flush()
    (part,) = parts(store)
    times = [json.loads(text)["time"] for text in read_part(store, part)]
    assert times[0] > 1e10
    assert times[1] == 2e10


@pytest.mark.parametrize(
    "change",
    [
        {"output": 3},
        {"key": "\ud800.png"},
        {"size": 1 << 63},
        {"size": []},
        {"output_size": -1},
        {"etag": None},
        {"time": float("nan")},
        {"time": 1e300},
        {"outcome": {}},
    ],
)
def test_a_line_of_odd_values_is_damaged(change: dict[str, object]) -> None:
    fields = json.loads(line("a").text())
    assert read_line(json.dumps(fields)) is not None
    assert read_line(json.dumps({**fields, **change})) is None


def test_deep_nonsense_is_damaged() -> None:
    assert read_line("[" * 100_000) is None
