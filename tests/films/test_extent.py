"""Listening to what FFmpeg says about a source."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

av = pytest.importorskip("av")

from fourfold.films.extent import _EAR  # noqa: E402


def test_who_stops_listening_last_turns_the_log_off() -> None:
    first, second = _EAR.listening(), _EAR.listening()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert av.logging.get_level() == av.logging.WARNING
    second.__exit__(None, None, None)
    assert av.logging.get_level() is None


def test_each_hears_its_own_thread_and_stderr_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    with _EAR.listening() as lines:
        other = threading.Thread(target=av.logging.log, args=(av.logging.ERROR, "h264", "theirs"))
        other.start()
        other.join(60)
        av.logging.log(av.logging.ERROR, "matroska,webm", "ours")
    assert [text for _, _, text in lines] == ["ours"]
    assert capfd.readouterr().err == ""


_BROKEN_OFF = """
import random, sys, time
from pathlib import Path
import av
from fourfold.films.extent import _EAR
from fourfold.films.probe import open_input

chance = random.Random(0)
until = time.monotonic() + 20
with _EAR.listening():
    while time.monotonic() < until:
        with open_input(Path(sys.argv[1])) as container:
            stream = container.streams.video[0]
            stream.thread_type = "AUTO"
            left = chance.randrange(2, 9)
            for packet in container.demux(stream):
                try:
                    packet.decode()
                except av.error.FFmpegError:
                    pass
                left -= 1
                if not left:
                    break
        del container, stream, packet
"""


@pytest.mark.slow
def test_closing_a_damaged_film_waits_for_nobody(tmp_path: Path) -> None:
    """Its decoder threads have much to log, for which they want Python's lock."""
    film = tmp_path / "film.mp4"
    rng = np.random.default_rng(0)
    with av.open(str(film), "w") as out:
        stream = out.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuv420p"
        for _ in range(12):
            pixels = rng.integers(0, 256, (720, 1280, 3), np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(pixels)))
        out.mux(stream.encode())
    content = bytearray(film.read_bytes())
    chance = random.Random(0)
    for _ in range(200):
        content[chance.randrange(60_000, len(content) - 9000)] ^= 255
    film.write_bytes(content)
    subprocess.run([sys.executable, "-c", _BROKEN_OFF, str(film)], timeout=120, check=True)
