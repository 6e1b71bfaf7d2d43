"""A film to standard output is a whole film, from its first second on, and ends with its reader."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from fourfold import Upscaler
from fourfold.jobs.films.run import VideoSettings
from fourfold.jobs.films.stream import stream_video
from fourfold.weights.format import save_model
from tests.made_films import SIDE, make_film, packets, times
from tests.models import tiny_model

av = pytest.importorskip("av")
VARYING = (0, 2, 3, 5, 9, 10, 11, 14)


@pytest.fixture(scope="module")
def up() -> Upscaler:
    return Upscaler(tiny_model(scale=2, num_blocks=1, width=4))


def sent(source: Path, up: Upscaler, **settings: Any) -> Path:
    """What a pipe brings, as a file."""
    reading, writing = os.pipe()
    target = source.with_name("sent.mkv")

    def keep() -> None:
        with os.fdopen(reading, "rb") as pipe:
            target.write_bytes(pipe.read())

    reader = threading.Thread(target=keep)
    reader.start()
    try:
        stream_video(source, up, VideoSettings(**settings), target=f"pipe:{writing}")
    finally:
        os.close(writing)
        reader.join(30)
    return target


def test_every_frame_at_its_time_with_sound_and_subtitles(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.mkv", stamps=VARYING, subtitles=((100, 900, "Hello"),))
    result = sent(source, up)
    assert times(result) == times(source)
    for kind in ("audio", "subtitle"):
        assert [data for _, data in packets(result, kind)] == [
            data for _, data in packets(source, kind)
        ]


def test_a_limit_ends_sound_too(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.mkv", stamps=range(24))
    result = sent(source, up, frames=5)
    assert len(times(result)) == 5
    assert max(time for time, _ in packets(result, "audio")) <= 5 / 12


def save_tiny(folder: Path) -> str:
    path = folder / "tiny.safetensors"
    save_model(tiny_model(scale=2, num_blocks=1, width=4), path)
    return str(path)


def command(source: Path, model: str) -> list[str]:
    return [sys.executable, "-m", "fourfold", "upscale", str(source), "-n", model, "-o", "-"]


def test_the_command_ends_quietly_when_the_player_does(tmp_path: Path) -> None:
    source = make_film(tmp_path / "film.mp4", stamps=range(600), sound=None)
    with subprocess.Popen(
        command(source, save_tiny(tmp_path)), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as work:
        assert work.stdout is not None
        assert work.stderr is not None
        assert work.stdout.read(200).startswith(b"\x1a\x45\xdf\xa3")  # EBML
        work.stdout.close()
        assert work.wait(60) == 1
        assert work.stderr.read() == b""
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.mp4", "tiny.safetensors"]


def test_a_player_can_begin_while_the_rest_is_made(tmp_path: Path) -> None:
    source = make_film(tmp_path / "film.mp4", stamps=range(600), sound=None)
    with subprocess.Popen(
        command(source, save_tiny(tmp_path)), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as work:
        with av.open(work.stdout, format="matroska") as film:
            frame = next(film.decode(video=0))
            assert (frame.width, frame.height) == tuple(2 * side for side in SIDE)
            assert work.poll() is None
        assert work.stdout is not None
        work.stdout.close()
        assert work.wait(60) == 1
