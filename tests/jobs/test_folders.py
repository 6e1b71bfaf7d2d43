"""Folders: the tree kept, finished work skipped, bad files named, nothing overwritten."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest

from fourfold.errors import InputError, OutputError
from fourfold.files.parts import locked_part
from fourfold.jobs import pipeline
from fourfold.jobs.door import upscale_file
from fourfold.jobs.inputs import find_inputs, find_requests
from fourfold.jobs.pipeline import run_all
from tests.made_pictures import Nearest, enlarge, image

PIXELS = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)


def picture(path: Path, pixels: np.ndarray = PIXELS) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image(pixels).write_to_file(str(path))
    return path


def names(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def test_the_tree_is_mirrored(tmp_path: Path) -> None:
    for name in ("a.png", "x/b.jpg", "x/y/c.png", ".hidden/d.png"):
        picture(tmp_path / "in" / name)
    (tmp_path / "in" / "notes.txt").write_text("BMW, not a picture")
    outcomes = enlarge(tmp_path / "in", out=tmp_path / "out", recursive=True)
    assert [o.status for o in outcomes] == ["done"] * 3
    assert names(tmp_path / "out") == ["a_x2.png", "x/b_x2.jpg", "x/y/c_x2.png"]


def test_results_go_inside_the_input_folder_without_growing_twice(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    picture(tmp_path / "b" / "c.jpg")
    for _ in range(3):
        enlarge(tmp_path, out=tmp_path / "out", recursive=True)
    assert names(tmp_path) == ["a.png", "b/c.jpg", "out/a_x2.png", "out/b/c_x2.jpg"]


def test_results_beside_the_inputs_are_not_inputs_of_the_next_run(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    for _ in range(3):
        requests, _ = find_requests([str(tmp_path)])
        list(run_all(requests, upscaler=Nearest()))
    assert names(tmp_path) == ["a.png", "a_x2.png"]


def test_finished_results_are_kept(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    assert [o.status for o in enlarge(tmp_path / "in", out=tmp_path / "out")] == ["done"]
    before = (tmp_path / "out" / "a_x2.png").stat().st_mtime_ns
    assert [o.status for o in enlarge(tmp_path / "in", out=tmp_path / "out")] == ["skipped"]
    assert (tmp_path / "out" / "a_x2.png").stat().st_mtime_ns == before
    again = enlarge(tmp_path / "in", out=tmp_path / "out", overwrite=True)
    assert [o.status for o in again] == ["done"]


def test_two_inputs_never_write_one_file(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.jpg")
    picture(tmp_path / "in" / "a.png")
    first, second = enlarge(tmp_path / "in", out=tmp_path / "out", ext="png", overwrite=True)
    assert (first.status, second.status) == ("done", "failed")
    assert "a.jpg" in second.reason


def test_the_same_input_twice_is_done_once(tmp_path: Path) -> None:
    a = picture(tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to(a)
    outcomes = enlarge(a, a, tmp_path, tmp_path / "link.png", out=tmp_path / "out")
    assert [o.status for o in outcomes] == ["done"]


def test_the_output_may_not_be_the_input(tmp_path: Path) -> None:
    a = picture(tmp_path / "a.png")
    content = a.read_bytes()
    with pytest.raises(OutputError, match="is the input itself"):
        upscale_file(a, a, upscaler=Nearest())
    (outcome,) = enlarge(a, out=tmp_path, suffix="", overwrite=True)
    assert "is the input itself" in outcome.reason
    assert a.read_bytes() == content


BAD = {
    "empty.jpg": b"",
    "text.jpg": b"hello, I am a text\n" * 50,
    "head.png": b"\x89PNG\r\n\x1a\n" + b"\0" * 40,
    "bitmap.bmp": b"BM" + b"\xff" * 60,
    "icon.ico": b"\0\0\1\0\1\0" + b"\xff" * 30,
    "photo.heic": b"\0\0\0\x18ftypheic" + b"\0" * 50,
    "deep.jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\0" * 50,
    "drawing.png": b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>",
    "paper.jpg": b"%PDF-1.4 ...",
    "numbers.png": b"3 3\n1 2 3\n4 5 6\n7 8 9\n",
    "old.v": b"\xb6\xa6\xf2\x08" + b"\0" * 100,
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_picture_fails_alone(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "in"
    good = [picture(folder / f"{i}.png") for i in range(2)]
    (folder / name).write_bytes(BAD[name])
    outcomes = enlarge(*good, folder / name, out=tmp_path / "out")
    assert [o.status for o in outcomes] == ["done", "done", "failed"]
    assert name in outcomes[2].reason
    assert "bug" not in outcomes[2].reason
    assert names(tmp_path / "out") == ["0_x2.png", "1_x2.png"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tiff", ".webp", ".gif", ".avif", ".bmp"])
def test_a_file_cut_short_is_refused(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (200, 200, 3), np.uint8)
    if suffix == ".bmp":
        from PIL import Image

        Image.fromarray(noise).save(tmp_path / "a.bmp")
    else:
        picture(tmp_path / f"a{suffix}", noise)
    whole = (tmp_path / f"a{suffix}").read_bytes()
    (tmp_path / f"a{suffix}").write_bytes(whole[: len(whole) * 2 // 3])
    (outcome,) = enlarge(tmp_path / f"a{suffix}", out=tmp_path / "out")
    assert outcome.status == "failed"
    assert "not a readable picture" in outcome.reason
    assert not (tmp_path / "out").exists() or not names(tmp_path / "out")


def test_pipes_folders_loops_and_dead_links_are_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "dead.png").symlink_to(tmp_path / "nowhere.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.png" / "again").symlink_to(tmp_path)
    inputs = [tmp_path / f"{n}.png" for n in ("pipe", "loop", "dead")]
    outcomes = enlarge(*inputs, out=tmp_path / "out")
    assert [o.status for o in outcomes] == ["failed"] * 3
    assert "pipe" in outcomes[0].reason
    assert "leads nowhere" in outcomes[2].reason
    assert enlarge(tmp_path / "folder.png", out=tmp_path / "out", recursive=True) == []


@pytest.mark.parametrize(
    "name", ["größe 図.png", "a\nb.png", "a[1].png", "x.png[page=1].png", "-n.png", "a" * 240]
)
def test_any_name(tmp_path: Path, name: str) -> None:
    name = name if name.endswith(".png") else name + ".png"
    picture(tmp_path / "plain.png").rename(tmp_path / name)
    (outcome,) = enlarge(tmp_path / name, out=tmp_path / "out")
    assert outcome.status == "done", outcome.reason
    assert names(tmp_path / "out") == [name.replace(".png", "_x2.png")[-250:]] or "page" in name


def test_a_name_that_is_no_unicode(tmp_path: Path) -> None:
    raw = os.fsdecode(b"caf\xe9.png")
    try:
        picture(tmp_path / "plain.png").rename(tmp_path / raw)
    except OSError:
        pytest.skip("this file system takes Unicode names only")
    (outcome,) = enlarge(tmp_path / raw, out=tmp_path / os.fsdecode(b"out\xe9"))
    assert outcome.status == "done", outcome.reason


def test_too_large_results_are_refused_before_decoding(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("L", (3000, 3000)).save(tmp_path / "a.bmp")
    whole = (tmp_path / "a.bmp").read_bytes()
    (tmp_path / "a.bmp").write_bytes(whole[:2000])  # decoding it would fail otherwise
    (outcome,) = enlarge(tmp_path / "a.bmp", out=tmp_path / "out", max_pixels=10**6)
    assert "max_pixels" in outcome.reason


def test_frames_count_as_pixels(tmp_path: Path) -> None:
    from PIL import Image

    frames = [Image.new("RGB", (50, 50), (i * 12, 0, 0)) for i in range(20)]
    frames[0].save(tmp_path / "a.webp", save_all=True, append_images=frames[1:])
    (outcome,) = enlarge(tmp_path / "a.webp", out=tmp_path / "out", max_pixels=10_000 * 19)
    assert "20 pages" in outcome.reason


@pytest.mark.parametrize("when", ["pixels", "result"])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture(tmp_path / "in" / "a.png")

    def full(*_args: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    pixels = "fourfold.pictures.store.PixelStore._move"
    target = (pixels, full) if when == "pixels" else ("os.replace", full)
    monkeypatch.setattr(*target)
    network = Nearest(max_memory=64 if when == "pixels" else 10**9)
    (outcome,) = enlarge(tmp_path / "in", out=tmp_path / "out", upscaler=network)
    assert "No space left" in outcome.reason
    assert names(tmp_path / "out") == []


def test_errors_of_the_network_leave_nothing(tmp_path: Path) -> None:
    class Broken(Nearest):
        def tiles(self, *_args):
            raise MemoryError

    picture(tmp_path / "in" / "a.png")
    (outcome,) = enlarge(tmp_path / "in", out=tmp_path / "out", upscaler=Broken(max_memory=64))
    assert "out of memory" in outcome.reason
    assert names(tmp_path / "out") == []


def test_ctrl_c_keeps_what_is_finished_and_no_rubbish(tmp_path: Path) -> None:
    for i in range(6):
        picture(tmp_path / "in" / f"{i}.png")

    class Interrupted(Nearest):
        def tiles(self, *args):
            if len(self.channels) == 3:
                raise KeyboardInterrupt
            return super().tiles(*args)

    before = threading.active_count()  # other tests may have left some
    with pytest.raises(KeyboardInterrupt):
        enlarge(tmp_path / "in", out=tmp_path / "out", upscaler=Interrupted(max_memory=64))
    done = names(tmp_path / "out")
    assert done == [f"{i}_x2.png" for i in range(len(done))]
    statuses = [o.status for o in enlarge(tmp_path / "in", out=tmp_path / "out")]
    assert statuses == ["skipped"] * len(done) + ["done"] * (6 - len(done))
    assert threading.active_count() <= before


def test_parts_of_a_killed_run_are_removed_and_living_ones_are_not(tmp_path: Path) -> None:
    picture(tmp_path / "in" / "a.png")
    out = tmp_path / "out"
    out.mkdir()
    (out / ".fourfold-0123456789ab.part.png").write_text("of a run that was killed")
    (out / ".hidden").write_text("somebody's")
    with locked_part(out) as alive:
        enlarge(tmp_path / "in", out=out)
        assert names(out) == sorted([alive.name, ".hidden", "a_x2.png"])


def test_upscale_file_gives_the_path_or_raises(tmp_path: Path) -> None:
    a = picture(tmp_path / "a.png")
    assert upscale_file(a, upscaler=Nearest()).path == tmp_path / "a_x2.png"
    assert upscale_file(a, upscaler=Nearest(), overwrite=False).path == tmp_path / "a_x2.png"
    with pytest.raises(InputError, match="no such file"):
        upscale_file(tmp_path / "b.png", upscaler=Nearest())
    with pytest.raises(OutputError, match="is no folder"):
        upscale_file(a, a / "x.png", upscaler=Nearest())


def test_a_glob_that_matches_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no file matches"):
        find_inputs([str(tmp_path / "*.png")])
    picture(tmp_path / "x" / "a.png")
    assert len(find_inputs([str(tmp_path / "**" / "*.png")])) == 1


def test_decoding_and_encoding_overlap_with_the_network(tmp_path: Path) -> None:
    for i in range(4):
        picture(tmp_path / "in" / f"{i}.png")
    threads = set()

    class Watching(Nearest):
        def tiles(self, *args):
            threads.update(t.name for t in threading.enumerate())
            return super().tiles(*args)

    enlarge(tmp_path / "in", out=tmp_path / "out", upscaler=Watching())
    assert {"fourfold-prepare", "fourfold-finish"} <= threads


def test_one_bug_does_not_end_the_night(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "in" / f"{name}.png")
    prepare, calls = pipeline.prepare, []

    def flawed(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise RuntimeError("surprise")
        return prepare(*args, **kwargs)

    monkeypatch.setattr(pipeline, "prepare", flawed)
    first, second = enlarge(tmp_path / "in", out=tmp_path / "out")
    assert (first.status, second.status) == ("failed", "done")
    assert "surprise" in first.reason
    assert "surprise" in caplog.text
