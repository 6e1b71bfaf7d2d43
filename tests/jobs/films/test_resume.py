"""Killed work goes on, and nobody can tell from the result."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from fourfold import Upscaler
from fourfold.errors import OutputError
from fourfold.jobs.films.run import VideoResult, VideoSettings, run_video
from fourfold.jobs.films.scratch import open_scratch
from fourfold.jobs.size import TargetSize
from fourfold.weights.format import save_model
from tests.made_films import make_film, times
from tests.models import tiny_model

pytest.importorskip("av")
SEGMENT = 4
FRAMES = 34

RUN = """
import os, signal, sys
from pathlib import Path
from fourfold import Upscaler
from fourfold.jobs.size import TargetSize
from fourfold.jobs.films.run import VideoSettings, run_video

source, target, model, allowed = sys.argv[1:]
seen = []

def watch(now):
    seen.append(now)
    if len(seen) > int(allowed) or now.stage == "joining":
        print(now.resumed, now.frames, flush=True)
        os.kill(os.getpid(), signal.SIGKILL)

settings = VideoSettings(size=TargetSize(scale=2.0), segment_frames=4)
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


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_five_kills_change_nothing(film: Path, tmp_path: Path) -> None:
    model = tmp_path / "tiny.safetensors"
    save_model(tiny_model(scale=2, num_blocks=1, width=4), model)
    straight = run(film, tmp_path / "straight.mp4", model)
    assert straight.frames == FRAMES

    target = tmp_path / "out" / "film.mp4"
    reached = 0
    for allowed in (6, 7, 9, 8, 99):
        command = [sys.executable, "-c", RUN, str(film), str(target), str(model), str(allowed)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
        assert done.returncode == -signal.SIGKILL, done.stderr
        resumed, frames = map(int, done.stdout.split())
        # At most the segment at work and the frame that waits for the encoder are done again.
        assert resumed >= reached - SEGMENT - 1
        assert resumed % SEGMENT == 0 or resumed == FRAMES
        assert not target.exists()
        reached = frames
    assert reached == FRAMES

    result = run(film, target, model)
    assert result.resumed > 0
    assert result.frames == FRAMES
    assert target.read_bytes() == (tmp_path / "straight.mp4").read_bytes()
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
    assert not kept.exists()  # finished: nothing of the film is left behind


def test_damaged_segments_are_done_again(film: Path, tmp_path: Path) -> None:
    model = tmp_path / "tiny.safetensors"
    save_model(tiny_model(scale=2, num_blocks=1, width=4), model)
    calls: list[int] = []
    with pytest.raises(Exception, match="stopped"):
        run_video(
            film,
            tmp_path / "o.mp4",
            Upscaler(model),
            settings(),
            cancel=lambda: calls.append(1) or len(calls) > 20,
        )
    second = next(tmp_path.glob(".o.mp4.*.fourfold/000001.seg"))
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
