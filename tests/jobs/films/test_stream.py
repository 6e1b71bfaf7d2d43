"""A film to standard output is a whole film, from its first second on, and ends with its reader."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import threading
import time
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


def sent(source: Path, up: Upscaler, *, progress: Any = None, **settings: Any) -> Path:
    """What a pipe brings, as a file; a thread of this process reads, so none may keep Python's lock."""
    target = source.with_name("sent.mkv")
    out, into = os.pipe()

    def read() -> None:
        with os.fdopen(out, "rb") as pipe, target.open("wb") as file:
            shutil.copyfileobj(pipe, file)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        stream_video(source, up, VideoSettings(**settings), progress=progress, target=into)
    finally:
        os.close(into)
        reader.join(60)
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


def test_nobody_listens_to_what_decoder_threads_say(tmp_path: Path, up: Upscaler) -> None:
    """One that logs would wait for Python's lock, which is held where it is waited for."""
    source = make_film(tmp_path / "film.mkv", stamps=range(24))
    levels: list[int | None] = []
    sent(source, up, progress=lambda _: levels.append(av.logging.get_level()))
    assert len(levels) > 24
    assert set(levels) == {None}


@pytest.mark.parametrize("taken", [0, 1, 1000])
def test_whenever_the_reader_goes_it_is_a_broken_pipe(
    taken: int, tmp_path: Path, up: Upscaler
) -> None:
    """Also where the first write to fail is that of the head, or of the end of the file."""
    source = make_film(tmp_path / "film.mkv", stamps=range(24))
    out, into = os.pipe()

    def read() -> None:
        with os.fdopen(out, "rb", buffering=0) as pipe:
            pipe.read(taken)

    reader = threading.Thread(target=read)
    reader.start()
    with pytest.raises(BrokenPipeError):
        stream_video(source, up, VideoSettings(), target=into)
    os.close(into)
    reader.join(60)


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


@pytest.mark.slow
@pytest.mark.parametrize("length", [600, 24])
def test_ffmpeg_plays_what_a_bundled_network_sends(length: int, tmp_path: Path) -> None:
    """Valid from the first bytes on: FFmpeg has frames of it long before the film is finished."""
    program = shutil.which("ffmpeg")
    if program is None:
        pytest.skip("no ffmpeg")
    source = make_film(
        tmp_path / "film.mkv", stamps=range(length), subtitles=((100, 900, "Hello"),)
    )
    raw = ["-map", "0:v", "-pix_fmt", "rgb24", "-fps_mode", "passthrough", "-f", "rawvideo", "-"]
    play = [program, "-nostdin", "-v", "warning", "-probesize", "32k", "-i", "-", *raw]
    with (
        subprocess.Popen(
            command(source, "srresnet-fast-x4"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as work,
        subprocess.Popen(
            play, stdin=work.stdout, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as player,
    ):
        assert work.stdout is not None
        assert player.stdout is not None
        assert player.stderr is not None
        work.stdout.close()
        size = 4 * SIDE[0] * 4 * SIDE[1] * 3
        watchdog = threading.Timer(240, lambda: [process.kill() for process in (work, player)])
        watchdog.start()
        try:
            assert len(player.stdout.read(size)) == size
            if length == 24:  # to the end: every frame, and nothing to complain about
                assert len(player.stdout.read()) == (length - 1) * size
                assert player.stderr.read() == b""
                assert (work.wait(60), player.wait(60)) == (0, 0)
            else:
                assert work.poll() is None
                player.kill()
                assert work.wait(60) == 1
        finally:
            watchdog.cancel()


@pytest.mark.slow
def test_the_first_bytes_say_what_the_film_is(tmp_path: Path) -> None:
    """The head and the first frame alone are a film: what has come within its first second."""
    source = make_film(tmp_path / "film.mkv", stamps=range(600), subtitles=((100, 900, "Hello"),))
    asked = command(source, "srresnet-fast-x4")
    with subprocess.Popen(
        asked, bufsize=0, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as work:
        assert work.stdout is not None
        watchdog = threading.Timer(120, work.kill)
        watchdog.start()
        begin = os.read(work.stdout.fileno(), 1 << 16)
        until = time.monotonic() + 1
        while time.monotonic() < until:
            begin += os.read(work.stdout.fileno(), 1 << 16)
        watchdog.cancel()
        assert work.poll() is None
        work.stdout.close()
        assert work.wait(60) == 1
    film = av.open(io.BytesIO(begin), format="matroska")
    kinds = [stream.type for stream in film.streams]
    assert sorted(kinds) == ["audio", "subtitle", "video"]
    shown = next(film.decode(video=0))
    assert (shown.width, shown.height) == (4 * SIDE[0], 4 * SIDE[1])
