"""Killed work goes on, and nobody can tell from the result."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.errors import OutputError
from fourfold.jobs.films import work
from fourfold.jobs.films.parts import film_parts, film_scratch
from fourfold.jobs.films.run import (
    Cancelled,
    VideoResult,
    VideoSettings,
    plan_video,
    run_video,
)
from fourfold.jobs.films.scratch import open_scratch
from fourfold.jobs.films.work import render
from fourfold.jobs.size import TargetSize
from fourfold.weights.format import Model, save_model
from tests.made_films import frames, make_film, packets, times
from tests.models import tiny_model

pytest.importorskip("av")
SEGMENT = 4
NEEDS_KILL = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
FRAMES = 34

RUN = """
import os, signal, sys
from pathlib import Path
from fourfold import Upscaler
from fourfold.jobs.size import TargetSize
from fourfold.jobs.films import work
from fourfold.jobs.films.run import VideoSettings, run_video

source, target, model, allowed, length, seconds, codec = sys.argv[1:]
work.KEEP_SECONDS = float(seconds)
seen = []

def watch(now):
    seen.append(now)
    if len(seen) > int(allowed) or now.stage == "joining":
        print(now.resumed, now.frames, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

settings = VideoSettings(size=TargetSize(scale=2.0), segment_frames=int(length), codec=codec)
run_video(Path(source), Path(target), Upscaler(model), settings, progress=watch)
"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    stamps = [n * 3 + (n % 3) for n in range(FRAMES)]
    return make_film(tmp_path_factory.mktemp("film") / "film.mp4", stamps=stamps)


def settings(**changes: object) -> VideoSettings:
    values = {"size": TargetSize(scale=2.0), "segment_frames": SEGMENT, "overwrite": True}
    return VideoSettings(**{**values, **changes})  # type: ignore[arg-type]


def run(film: Path, target: Path, model: Path, **changes: object) -> VideoResult:
    return run_video(film, target, Upscaler(model), settings(**changes))


def killed(
    film: Path,
    target: Path,
    model: Path,
    allowed: int,
    length: int = SEGMENT,
    seconds: float = 30,
    codec: str = "auto",
) -> tuple[int, int]:
    """Frames there were and frames there are in a run that is killed after `allowed` reports."""
    arguments = map(str, (film, target, model, allowed, length, seconds, codec))
    command = [sys.executable, "-c", RUN, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == -signal.SIGKILL, done.stderr
    resumed, reached = map(int, done.stdout.split())
    return resumed, reached


def assert_same_film(one: Path, other: Path) -> None:
    """Every picture, its time and the sound; bytes may tell how many threads x264 had."""
    assert times(one) == times(other)
    assert packets(one, "audio") == packets(other, "audio")
    pairs = zip(frames(one), frames(other), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@NEEDS_KILL
@pytest.mark.parametrize("codec", ["h264", "ffv1"])
def test_a_kill_in_a_long_segment_costs_little(codec: str, film: Path, tmp_path: Path) -> None:
    model = tmp_path / "tiny.safetensors"
    save_model(tiny_model(scale=2, num_blocks=1, width=4), model)
    suffix = ".mkv" if codec == "ffv1" else ".mp4"
    long = FRAMES + 1
    straight = run(film, tmp_path / f"straight{suffix}", model, segment_frames=long, codec=codec)
    target = tmp_path / "out" / f"film{suffix}"
    reached = 0
    for allowed in (8, 9, 8):
        resumed, now = killed(film, target, model, allowed, long, 0, codec)
        assert resumed >= reached - 3  # those on their way through the encoder
        reached = now
    (folder,) = target.parent.iterdir()
    assert not list(folder.glob("*.seg"))
    result = run(film, target, model, segment_frames=long, codec=codec)
    assert result.resumed > 15
    assert result.frames == FRAMES
    assert_same_film(target, straight.output)
    assert list(target.parent.iterdir()) == [target]


def test_damaged_kept_frames_are_done_again(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "KEEP_SECONDS", 0)
    model = tmp_path / "tiny.safetensors"
    save_model(tiny_model(scale=2, num_blocks=1, width=4), model)
    calls: list[int] = []
    with pytest.raises(Cancelled):
        run_video(
            film,
            tmp_path / "o.mp4",
            Upscaler(model),
            settings(segment_frames=50),
            cancel=lambda: calls.append(1) or len(calls) > 20,
        )
    (folder,) = tmp_path.glob(".o.mp4.*.fourfold")
    kept = sorted(folder.glob("*.kept"))
    kept[5].write_bytes(b"fourfold")
    result = run(film, tmp_path / "o.mp4", model, segment_frames=50)
    assert result.resumed == 5
    assert result.frames == FRAMES


def test_parts_made_anywhere_in_any_order_are_the_film(film: Path, tmp_path: Path) -> None:
    model = tmp_path / "tiny.safetensors"
    save_model(tiny_model(scale=2, num_blocks=1, width=4), model)
    straight = run(film, tmp_path / "straight.mp4", model)
    up = Upscaler(model)
    plan = plan_video(film, tmp_path / "o.mp4", up, settings())
    parts = [pickle.dumps(part) for part in film_parts(plan)]
    assert len(parts) == -(-FRAMES // SEGMENT)
    with film_scratch(plan, up) as scratch:
        for part in reversed(parts):
            render(pickle.loads(part), up, scratch)
    result = run(film, tmp_path / "o.mp4", model)
    assert result.resumed == result.frames == FRAMES
    assert_same_film(result.output, straight.output)


@NEEDS_KILL
def test_five_kills_change_nothing(film: Path, tmp_path: Path, small: Model) -> None:
    model = tmp_path / "small.safetensors"
    save_model(small, model)
    straight = run(film, tmp_path / "straight.mp4", model)
    assert straight.frames == FRAMES

    target = tmp_path / "out" / "film.mp4"
    reached = 0
    for allowed in (6, 7, 9, 8, 99):
        resumed, now = killed(film, target, model, allowed)
        # At most the segment at work and the frame that waits for the encoder are done again.
        assert resumed >= reached - SEGMENT - 1
        assert resumed % SEGMENT == 0 or resumed == FRAMES
        assert not target.exists()
        reached = now
    assert reached == FRAMES

    result = run(film, target, model)
    assert result.resumed > 0
    assert result.frames == FRAMES
    assert_same_film(target, tmp_path / "straight.mp4")
    assert times(target) == times(film)
    assert [path.name for path in target.parent.iterdir()] == ["film.mp4"]


def test_other_settings_never_share_work(film: Path, tmp_path: Path) -> None:
    model = tmp_path / "tiny.safetensors"
    save_model(tiny_model(scale=2, num_blocks=1, width=4), model)
    calls: list[int] = []

    def stop_after_ten() -> bool:
        calls.append(1)
        return len(calls) > 10

    with pytest.raises(Exception, match="stopped"):
        run_video(film, tmp_path / "o.mp4", Upscaler(model), settings(), cancel=stop_after_ten)
    (kept,) = tmp_path.glob(".o.mp4.*.fourfold")
    other = run(film, tmp_path / "o.mp4", model, crf=30)
    assert other.resumed == 0
    assert any("other settings" in note for note in other.notes)
    assert kept.exists()  # for a day it can be gone on with
    first = run(film, tmp_path / "o.mp4", model)
    assert first.resumed > 0
    assert not kept.exists()
    kept.mkdir()
    os.utime(kept, (time.time() - 90_000,) * 2)
    run(film, tmp_path / "o.mp4", model, crf=30)
    assert [path.name for path in tmp_path.glob("*o.mp4*")] == ["o.mp4"]


def test_damaged_segments_are_done_again(film: Path, tmp_path: Path) -> None:
    model = tmp_path / "tiny.safetensors"
    save_model(tiny_model(scale=2, num_blocks=1, width=4), model)
    kept = ".o.mp4.*.fourfold/000001.seg"
    with pytest.raises(Exception, match="stopped"):
        run_video(
            film,
            tmp_path / "o.mp4",
            Upscaler(model),
            settings(),
            cancel=lambda: any(tmp_path.glob(kept)),
        )
    second = next(tmp_path.glob(kept))
    content = bytearray(second.read_bytes())
    content[len(content) // 2] ^= 1
    second.write_bytes(content)
    result = run(film, tmp_path / "o.mp4", model)
    assert result.resumed == SEGMENT
    assert result.frames == FRAMES


def test_two_processes_do_not_work_on_one_film(tmp_path: Path) -> None:
    with (
        open_scratch(tmp_path / "o.mp4", "key", {}),
        pytest.raises(OutputError, match="another process"),
        open_scratch(tmp_path / "o.mp4", "key", {}),
    ):
        pass
