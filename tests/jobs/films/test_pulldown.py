"""Film that became video by 3:2 pulldown becomes film again."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.films.filters import has_pulldown
from fourfold.films.probe import probe
from tests.made_films import make_film, times, upscale_video

av = pytest.importorskip("av")

SIZE = (96, 64)


def telecined(path: Path, *, pulldown: bool = True, count: int = 48) -> Path:
    """A square that moves, 24 pictures a second, as video of 30000/1001."""
    rate = Fraction(30000, 1001)
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg2video", rate=rate, options={"flags": "+ilme+ildct"})
        stream.width, stream.height, stream.pix_fmt = *SIZE, "yuv420p"
        stream.codec_context.bit_rate = 4_000_000
        for frame in woven(count) if pulldown else map(still, range(count)):
            made = av.VideoFrame.from_ndarray(frame, format="rgb24")
            for packet in stream.encode(made):
                out.mux(packet)
        for packet in stream.encode(None):
            out.mux(packet)
    return path


def still(number: int) -> np.ndarray:
    rng = np.random.default_rng(0)
    picture = np.uint8(rng.integers(60, 90, (SIZE[1], SIZE[0], 3)))
    at = 2 + number * 3 % (SIZE[0] - 24)
    picture[12:52, at : at + 20] = 220
    return picture


def woven(count: int) -> list[np.ndarray]:
    """Fields in the order A A, B B, B C, C D, D D."""
    frames = []
    for first in range(0, count, 4):
        a, b, c, d = (still(first + i) for i in range(4))
        for top, bottom in ((a, a), (b, b), (b, c), (c, d), (d, d)):
            frame = top.copy()
            frame[1::2] = bottom[1::2]
            frames.append(frame)
    return frames


def test_pulldown_is_told_from_other_films(tmp_path: Path) -> None:
    assert has_pulldown(probe(telecined(tmp_path / "a.mkv")))
    assert not has_pulldown(probe(telecined(tmp_path / "b.mkv", pulldown=False)))
    assert not has_pulldown(probe(make_film(tmp_path / "c.mkv", stamps=range(3))))


def test_four_pictures_of_five_frames(tmp_path: Path, up: Upscaler) -> None:
    source = telecined(tmp_path / "a.mkv")
    outcome = upscale_video(source, tmp_path / "o.mkv", upscaler=up, pulldown="undo")
    assert abs(outcome.frames - 48) <= 1
    assert any("pulldown" in note for note in outcome.notes)
    steps = np.diff([float(t) for t in times(tmp_path / "o.mkv")])
    assert np.allclose(steps, 1001 / 24000, atol=0.002)
    with av.open(str(tmp_path / "o.mkv")) as film:
        for frame in film.decode(video=0):
            rows = frame.to_ndarray(format="gray").astype(int)[30:100]
            # Combed pictures differ from row to row by as much as the square is bright.
            assert np.abs(rows[2:-2:2] - rows[3:-1:2]).max() < 120


def test_other_films_stay_as_they_are(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.mkv", stamps=range(12))
    outcome = upscale_video(source, tmp_path / "o.mkv", upscaler=up, pulldown="undo")
    assert outcome.frames == 12
    assert any("no 3:2 pulldown" in note for note in outcome.notes)
