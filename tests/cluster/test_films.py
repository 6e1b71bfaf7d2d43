"""A film made in parts by several workers is the film that one makes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from fourfold.cluster.films import SEGMENTS
from fourfold.cluster.manifest import Line
from fourfold.cluster.run import run_batch
from fourfold.cluster.table import Row, Task
from fourfold.cluster.worker import Batch, Worker
from fourfold.files.addresses import open_store
from tests.made_films import make_film

pytest.importorskip("av")
pytest.importorskip("fsspec")
SETTINGS = {"still": "s", "film": "f"}


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A film of four segments."""
    monkeypatch.setattr("fourfold.jobs.films.settings._SEGMENT_FRAMES", (4, 4))
    (tmp_path / "in").mkdir()
    return make_film(tmp_path / "in" / "film.mp4", stamps=tuple(range(14)))


@pytest.mark.parametrize("kind", ["local", "memory"])
def test_steps_in_any_order_by_several_workers(
    batch: Callable[..., Batch], film: Path, tmp_path: Path, kind: str
) -> None:
    run_batch(batch(target=str(tmp_path / "straight")))
    address = str(tmp_path / "out") if kind == "local" else f"memory://{tmp_path.name}/out"
    row = Row(key="film.mp4", size=film.stat().st_size, tag="t", modified=None)

    def do(step: int | str | None) -> list[Line] | int:
        worker = Worker(batch(target=address), SETTINGS)
        try:
            return worker.do(Task((row,), step))  # type: ignore[arg-type]
        finally:
            worker.close()

    assert do("split") == 4
    for number in (2, 0, 3, 1):
        assert do(number) == 0
    store = open_store(address)
    segments = [entry for page in store.pages(SEGMENTS) for entry in page]
    assert len(segments) == 4
    assert do(2) == 0
    assert [entry for page in store.pages(SEGMENTS) for entry in page] == segments
    (line,) = do("join")  # type: ignore[misc]
    assert line.outcome == "done", line.reason
    assert line.output == "film_x2.mp4"
    straight = (tmp_path / "straight" / "film_x2.mp4").read_bytes()
    assert store.read("film_x2.mp4") == straight
    assert list(store.pages(SEGMENTS)) == []
    assert do("split") == 1  # a result is there


def test_a_film_that_is_none_fails_as_a_line(batch: Callable[..., Batch], tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "film.mp4").write_bytes(b"nonsense")
    worker = Worker(batch(), SETTINGS)
    row = Row(key="film.mp4", size=8, tag="t", modified=None)
    (line,) = worker.do(Task((row,), "split"))  # type: ignore[misc]
    worker.close()
    assert line.outcome == "failed"
    assert "film.mp4" in str(line.reason)
