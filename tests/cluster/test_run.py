"""Folders from listing to `_SUCCESS`, by this process."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from fourfold.cluster import table
from fourfold.cluster.run import State, TooManyFailures, Workers, estimate_batch, run_batch
from fourfold.cluster.shards import Shard
from fourfold.cluster.worker import Batch, Worker
from fourfold.errors import InputError, OutputError, UsageError
from fourfold.files.addresses import Entry, StorageError, open_store
from fourfold.jobs.claims import Claims
from fourfold.jobs.inputs import find_requests
from fourfold.jobs.pipeline import run_all
from fourfold.jobs.stages import Cancelled
from fourfold.pictures.images import write_pixels
from fourfold.pictures.vips import vips

Made = Callable[..., Batch]
Album = Callable[..., Path]


def results(address: Path | str) -> dict[str, bytes]:
    store = open_store(str(address))
    keys = (entry.key for page in store.pages() for entry in page)
    return {key: store.read(key) for key in keys if not key.startswith("_")}


def manifest(address: Path | str) -> dict[str, dict[str, Any]]:
    store = open_store(str(address))
    keys = sorted(entry.key for page in store.pages("_fourfold") for entry in page)
    text = b"".join(store.read(key) for key in keys if "/part-" in key).decode()
    lines = [json.loads(line) for line in text.splitlines()]
    return {line["key"]: line for line in sorted(lines, key=lambda line: line["time"])}


def straight(source: Path, out: Path, model: Path) -> dict[str, bytes]:
    options = {"model": str(model), "precision": "fp32"}
    requests, _ = find_requests([str(source)], out, recursive=True, **options)
    list(run_all(requests))
    return results(out)


@pytest.fixture(params=["local", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "out")
    pytest.importorskip("fsspec")
    return f"memory://{tmp_path.name}/out"


def test_results_equal_those_of_one_machine(
    batch: Made, album: Album, target: str, tmp_path: Path, model: Path
) -> None:
    source = album("a.png", "x/b.jpg", "x/y/c.png")
    (source / "notes.txt").write_text("no picture")
    (source / ".hidden.png").write_bytes(b"")
    state = run_batch(batch(target=target))
    assert (state.todo, state.done, state.failed, state.kept) == (3, 3, 0, 0)
    made = results(target)
    assert sorted(made) == ["a_x2.png", "x/b_x2.jpg", "x/y/c_x2.png"]
    assert made == straight(source, tmp_path / "straight", model)
    assert json.loads(open_store(target).read("_SUCCESS"))["inputs"] == 3


def test_a_line_says_what_was_made_of_what(batch: Made, album: Album, target: str) -> None:
    source = album("x/a.png")
    run_batch(batch(target=target))
    (line,) = manifest(target).values()
    entry = open_store(target).stat("x/a_x2.png")
    assert entry is not None
    assert (line["key"], line["size"]) == ("x/a.png", (source / "x/a.png").stat().st_size)
    assert line["etag"] == str((source / "x/a.png").stat().st_mtime_ns)
    assert (line["outcome"], line["model"], line["tries"]) == ("done", "tiny", 1)
    assert (line["output"], line["output_size"]) == ("x/a_x2.png", entry.size)
    assert line["output_etag"] == entry.tag
    assert str(os.getpid()) in line["host"]


def test_a_second_run_does_only_what_is_missing_or_changed(
    batch: Made, album: Album, target: str, draw: Any
) -> None:
    source = album("a.png", "b.png", "c.png", "d.png")
    run_batch(batch(target=target))
    before = {key: line["time"] for key, line in manifest(target).items()}
    assert run_batch(batch(target=target)) == State(todo=0, kept=4)
    open_store(target).remove("a_x2.png")
    os.utime(source / "b.png", (2e9, 2e9))
    write_pixels(draw(8, 8), source / "e.png")
    state = run_batch(batch(target=target))
    assert (state.todo, state.done, state.kept) == (3, 3, 2)
    lines = manifest(target)
    assert {key for key in before if lines[key]["time"] != before[key]} == {"a.png", "b.png"}
    assert len(results(target)) == 5
    state = run_batch(batch(target=target, scale=3))
    assert (state.todo, state.done) == (5, 5)


def test_broken_inputs_are_listed_and_tried_again(
    batch: Made, album: Album, target: str, draw: Any
) -> None:
    source = album("a.png")
    for name in ("x/bad.png", "worse.png"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_bytes(b"\x89PNG nonsense")
    state = run_batch(batch(target=target, retries=3))
    assert (state.done, state.failed) == (1, 2)
    store = open_store(target)
    failed = [json.loads(line) for line in store.read("_fourfold/failed.jsonl").splitlines()]
    assert [line["key"] for line in failed] == ["worse.png", "x/bad.png"]
    assert all(line["tries"] == 1 for line in failed)
    assert "x/bad.png: " in failed[1]["reason"]
    assert "scratch" not in failed[1]["reason"]
    assert store.stat("_SUCCESS") is None
    for name in ("x/bad.png", "worse.png"):
        write_pixels(draw(8, 8), source / name)
    state = run_batch(batch(target=target))
    assert (state.todo, state.done, state.kept) == (2, 2, 1)
    assert store.stat("_SUCCESS") is not None
    assert store.stat("_fourfold/failed.jsonl") is None


def test_shards_are_disjoint_and_complete(batch: Made, album: Album, target: str) -> None:
    album(*(f"{name}.png" for name in "abcdefghij"))
    store = open_store(target)
    whole = batch(target=target)
    first = run_batch(whole, shard=Shard(1, 2))
    assert store.stat("_SUCCESS") is None
    one = set(results(target))
    second = run_batch(whole, shard=Shard(2, 2))
    assert first.done + second.done == 10 == len(results(target))
    assert len(one) == first.done
    assert store.stat("_SUCCESS") is not None
    assert run_batch(whole).kept == 10


def test_inputs_with_one_result_are_never_mixed_up(batch: Made, album: Album, target: str) -> None:
    album("a.png", "a.jpg")
    for _ in range(2):
        state = run_batch(batch(target=target, ext="png"))
        assert state.failed == 1
        assert list(results(target)) == ["a_x2.png"]
        assert manifest(target)["a.jpg"]["outcome"] == "done"
        assert "a.jpg" in manifest(target)["a.png"]["reason"]


def test_results_that_no_line_names_are_recognised(
    batch: Made, album: Album, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = album("a.png", "b.png")
    run_batch(batch(target=target))
    store = open_store(target)
    for page in list(store.pages("_fourfold")):
        for entry in page:
            store.remove(entry.key)
    os.utime(source / "b.png", (2e9, 2e9))  # later than its result
    ran: list[str] = []
    original = Worker._run
    monkeypatch.setattr(
        Worker, "_run", lambda self, row, *rest: ran.append(row.key) or original(self, row, *rest)
    )
    before = store.stat("a_x2.png")
    assert run_batch(batch(target=target)).done == 2
    assert ran.count("b.png") >= 1
    assert store.stat("a_x2.png") == before


def test_storage_that_fails_is_tried_again(
    batch: Made, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    album("a.png", "b.png")
    monkeypatch.setattr("fourfold.cluster.worker._WAIT", 0.01)
    failures = {"a_x2.png": 2, "b_x2.png": 9}
    target = f"memory://{tmp_path.name}/out"
    original = type(open_store(target)).publish

    def publish(self: Any, path: Path, key: str) -> Any:
        if failures.get(key, 0) > 0:
            failures[key] -= 1
            raise StorageError(f"{key}: the store says: slow down")
        return original(self, path, key)

    monkeypatch.setattr(type(open_store(target)), "publish", publish)
    state = run_batch(batch(target=target, retries=2))
    assert (state.done, state.failed) == (1, 1)
    lines = manifest(target)
    assert (lines["a.png"]["tries"], lines["b.png"]["tries"]) == (3, 3)
    assert "slow down" in lines["b.png"]["reason"]


def test_too_many_failures_end_it_and_what_is_done_stays(
    batch: Made, album: Album, target: str
) -> None:
    source = album("z.png")
    for number in range(30):
        (source / f"bad{number:02d}.png").write_bytes(b"nonsense")
    with pytest.raises(TooManyFailures, match="--max-errors 2"):
        run_batch(batch(target=target), max_errors=2)
    assert 3 <= len(manifest(target)) < 10
    assert len(open_store(target).read("_fourfold/failed.jsonl").splitlines()) >= 3


def test_what_is_stopped_goes_on(batch: Made, album: Album, target: str) -> None:
    album(*(f"{name}.png" for name in "abcdefghij"))
    stop = threading.Event()

    def report(state: State) -> None:
        if state.done == 2:
            stop.set()

    with pytest.raises(Cancelled):
        run_batch(batch(target=target), report=report, stop=stop)
    done = len(manifest(target))
    assert 2 <= done < 10
    state = run_batch(batch(target=target))
    assert state.kept == done
    assert state.done == 10 - done
    assert len(results(target)) == 10


def test_the_manifest_is_put_together(
    batch: Made, album: Album, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    album(*(f"{name}.png" for name in "abcd"))
    monkeypatch.setattr("fourfold.cluster.manifest._LINES", 1)
    run_batch(batch(target=target))
    store = open_store(target)
    (part,) = (e.key for page in store.pages("_fourfold") for e in page)
    assert [json.loads(line)["key"] for line in store.read(part).splitlines()] == [
        "a.png",
        "b.png",
        "c.png",
        "d.png",
    ]


ODD = ["100%.png", "a%2Fb.png", "a+b c.png", "é\u0301.png", "q?*[1].png", "#h.png"]
"""Names that another program might take for something else."""


def test_keys_of_a_bucket_are_only_names(batch: Made, album: Album, s3: str) -> None:
    import s3fs

    content = (album("a.png") / "a.png").read_bytes()
    bucket = s3fs.S3FileSystem()
    for key in ODD:
        bucket.call_s3("put_object", Bucket=s3[5:], Key=f"in/{key}", Body=content)
    for target in (f"{s3}/out", str(album() / ".." / "out")):
        state = run_batch(batch(source=f"{s3}/in", target=target))
        assert (state.done, state.failed) == (len(ODD), 0)
        assert {key.replace("_x2", "") for key in results(target)} == set(ODD)
        assert run_batch(batch(source=f"{s3}/in", target=target)).kept == len(ODD)


def test_keys_that_lead_out_of_the_folder_fail(
    batch: Made, album: Album, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    content = (album("a.png") / "a.png").read_bytes()
    source = open_store(f"memory://{tmp_path.name}/in", write=True)
    keys = ["/lead.png", "x//c.png", "x/c.png", "x/new\nline.png"]
    for key in keys:
        source._fs.pipe_file(f"/{tmp_path.name}/in/{key}", content)  # type: ignore[attr-defined]
    listing = [Entry(key, len(content), "t", 1.0) for key in keys]
    pages = type(source).pages
    monkeypatch.setattr(
        type(source),
        "pages",
        lambda self, *below, **options: (
            iter([listing]) if self.address == source.address else pages(self, *below, **options)
        ),
    )
    state = run_batch(batch(source=source.address))
    assert (state.done, state.failed) == (2, 2)
    assert sorted(results(tmp_path / "out")) == ["x/c_x2.png", "x/new\nline_x2.png"]
    lines = manifest(tmp_path / "out")
    assert all("no file of a local folder" in lines[key]["reason"] for key in keys[:2])
    assert run_batch(batch(source=source.address, target=f"memory://{tmp_path.name}/out")).done == 4


def test_a_result_that_another_run_is_at_is_tried_again(
    batch: Made, album: Album, tmp_path: Path
) -> None:
    album("a.png", "b.png")
    out = tmp_path / "out"
    with ExitStack() as held:
        Claims().take(out / "a_x2.png", owner="b", record={}, overwrite=False, held=held)
        ended = threading.Timer(0.5, held.close)  # before the first try of several
        ended.start()
        state = run_batch(batch(target=str(out), retries=3))
        ended.join(60)
    assert (state.done, state.failed) == (2, 0)
    assert manifest(out)["a.png"]["tries"] > 1


def test_two_runs_at_once_lose_nothing(
    batch: Made, album: Album, target: str, tmp_path: Path, model: Path
) -> None:
    source = album(*(f"{name}.png" for name in "abcdefgh"))
    runs = batch(target=target, retries=3)
    both = [threading.Thread(target=run_batch, args=(runs,)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join(timeout=120)
    state = run_batch(batch(target=target))
    assert (state.todo, state.kept) == (0, 8)
    assert results(target) == straight(source, tmp_path / "straight", model)
    assert open_store(target).stat("_SUCCESS") is not None


def test_a_part_that_ends_in_the_middle_of_a_line(
    batch: Made, album: Album, target: str, tmp_path: Path
) -> None:
    album("a.png", "b.png", "c.png")
    run_batch(batch(target=target))
    store = open_store(target)
    (part,) = (e.key for page in store.pages("_fourfold") for e in page)
    (tmp_path / "cut").write_bytes(store.read(part)[:-30])
    store.publish(tmp_path / "cut", part)
    state = run_batch(batch(target=target))
    assert (state.todo, state.done, state.kept) == (1, 1, 2)
    assert len(manifest(target)) == 3


def test_a_fast_clock_does_not_hold_for_ever(batch: Made, album: Album, target: str) -> None:
    source = album("a.png")
    good = (source / "a.png").read_bytes()
    (source / "a.png").write_bytes(b"nonsense")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fourfold.cluster.worker.time.time", lambda: 9e9)
        assert run_batch(batch(target=target)).failed == 1
    (source / "a.png").write_bytes(good)
    assert run_batch(batch(target=target)).done == 1
    assert run_batch(batch(target=target)).kept == 1
    assert open_store(target).stat("_SUCCESS") is not None


def test_an_input_that_changes_while_it_is_read_is_done_again(
    batch: Made, album: Album, tmp_path: Path, draw: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    source = album("a.png", "b.png")
    store = open_store(f"memory://{tmp_path.name}/in", write=True)
    for name in ("a.png", "b.png"):
        store.publish(source / name, name)
    write_pixels(draw(9, 9), source / "a.png")
    original = type(store).fetch

    def fetch(self: Any, key: str, path: Path) -> None:
        original(self, key, path)
        if key == "a.png":
            store.publish(source / "a.png", "a.png")
            store.remove("b.png")

    monkeypatch.setattr("fourfold.cluster.run.THREADS", 1)  # one after the other
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "fetch", fetch)
        state = run_batch(batch(source=store.address))
    assert (state.done, state.failed) == (1, 1)
    assert "no longer there" in manifest(tmp_path / "out")["b.png"]["reason"]
    state = run_batch(batch(source=store.address))
    assert (state.todo, state.done) == (1, 1)
    assert open_store(str(tmp_path / "out")).stat("_SUCCESS") is not None


def test_no_room_for_the_table_is_one_line(
    batch: Made, album: Album, monkeypatch: pytest.MonkeyPatch
) -> None:
    album(*(f"{number:0200d}.png" for number in range(40)))
    small = f"{table._TABLES} PRAGMA max_page_count = 6;"
    monkeypatch.setattr(table, "_TABLES", small)
    with pytest.raises(OutputError, match="TMPDIR"):
        run_batch(batch())


def test_a_bucket_that_is_not_there_is_said(batch: Made, album: Album, s3: str) -> None:
    album("a.png")
    with pytest.raises(StorageError, match=r"s3://nowhere-.*/_fourfold/part-.*the store says"):
        run_batch(batch(target=f"s3://nowhere-{s3[5:]}/out"))


@pytest.mark.parametrize("problem", [PermissionError("Access Denied"), OSError(16, "Slow Down")])
def test_a_listing_that_breaks_off_changes_nothing(
    batch: Made, album: Album, s3: str, monkeypatch: pytest.MonkeyPatch, problem: Exception
) -> None:
    import s3fs

    monkeypatch.setattr("fourfold.files.addresses._PAGE", 2)
    content = (album("a.png") / "a.png").read_bytes()
    s3fs.S3FileSystem().pipe({f"{s3}/in/{number}.png": content for number in range(5)})
    original = s3fs.S3FileSystem.call_s3

    def call(self: Any, method: str, *args: Any, **options: Any) -> Any:
        if "ContinuationToken" in options:
            raise problem
        return original(self, method, *args, **options)

    with monkeypatch.context() as patch:
        patch.setattr(s3fs.S3FileSystem, "call_s3", call)
        with pytest.raises(StorageError, match=r"s3://.*the store says"):
            run_batch(batch(source=f"{s3}/in", target=f"{s3}/out"))
    assert results(f"{s3}/out") == {}


def test_an_estimate_writes_nothing(batch: Made, album: Album, target: str) -> None:
    album(*(f"{number}.png" for number in range(12)))
    estimate = estimate_batch(batch(target=target), workers=Workers(engine="ray", most=4))
    assert (estimate.counts.todo, estimate.sampled) == (12, 10)
    assert estimate.machine_hours is not None
    assert estimate.hours == pytest.approx(estimate.machine_hours / 4)
    assert [entry for page in open_store(target).pages() for entry in page] == []


def test_results_below_the_inputs_are_no_inputs(batch: Made, album: Album, tmp_path: Path) -> None:
    source = album("a.png")
    inside = batch(target=str(source / "out"))
    assert run_batch(inside).done == 1
    assert run_batch(inside) == State(todo=0, kept=1)
    with pytest.raises(UsageError, match="another folder"):
        run_batch(batch(target=f"{source}/"))


def test_one_file_and_empty_folders(batch: Made, album: Album) -> None:
    album("a.png", "b.png", "x/c.png")
    assert run_batch(batch(only="b.png")).done == 1
    with pytest.raises(InputError, match="no such file"):
        run_batch(batch(only="q.png"))
    assert run_batch(replace(batch(), recursive=False)).todo == 1
    with pytest.raises(InputError, match="no picture or film"):
        run_batch(batch(source="nowhere"))


@pytest.mark.parametrize(
    "words",
    [("slurm", None, None), ("ray", None, "3:2"), ("ray", None, "x")],
)
def test_wrong_words_are_refused(words: tuple[Any, ...]) -> None:
    with pytest.raises(UsageError):
        Workers.parse(*words)


def test_workers_are_a_number_or_a_range() -> None:
    assert Workers.parse("ray", None, "2:8") == Workers(engine="ray", least=2, most=8)
    assert Workers.parse("ray", "auto", "3") == Workers(
        engine="ray", address="auto", least=3, most=3
    )
    assert Workers.parse("ray", None, None) == Workers(engine="ray")


def test_each_input_gets_its_own_model_and_is_known_again(
    tmp_path: Path, album: Album, draw: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from fourfold.jobs import picture
    from fourfold.jobs.request import Request

    source = album("a.png")
    damaged = vips().Image.new_from_array(draw(24, 32))
    damaged.jpegsave(str(source / "b.jpg"), Q=40)
    out = tmp_path / "out"
    auto = Batch(source=str(source), target=str(out), request=Request(source="-"), retries=0)
    assert run_batch(auto).done == 2
    models = {key: line["model"] for key, line in manifest(out).items()}
    assert models == {"a.png": "srgan-x4", "b.jpg": "srgan-photo-x4"}
    monkeypatch.setattr(picture, "look_at_picture", None)
    assert run_batch(auto).kept == 2
    for path in (out / "_fourfold").glob("part-*"):
        path.unlink()
    assert run_batch(auto).failed == 0  # by the records in the results
