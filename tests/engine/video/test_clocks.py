"""Clocks that start anywhere, jump or go below zero: the result begins at 0, in sync."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from fourfold import Upscaler
from fourfold.engine.video.run import upscale_video
from tests.films import make_film, packets, times
from tests.models import tiny_model

av = pytest.importorskip("av")


@pytest.fixture(scope="module")
def up() -> Upscaler:
    return Upscaler(tiny_model(scale=2, num_blocks=1, width=4))


def moved(source: Path, target: Path, seconds: Fraction) -> Path:
    """A copy of a film whose clock starts elsewhere."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        copies = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        for packet in old.demux():
            if packet.dts is None:
                continue
            ticks = round(seconds / packet.time_base)
            packet.pts, packet.dts = packet.pts + ticks, packet.dts + ticks
            packet.stream = copies[packet.stream.index]
            new.mux(packet)
    return target


def starts(path: Path) -> tuple[float, float]:
    """Seconds at which pictures and sound of a film begin."""
    return float(times(path)[0]), packets(path, "audio")[0][0]


@pytest.mark.parametrize("target", ["out.mp4", "out.mkv", "out.mov"])
@pytest.mark.parametrize("clock", [Fraction(3600), Fraction(2**33 - 45_000, 90_000)])
def test_transport_streams_begin_at_zero(
    clock: Fraction, target: str, tmp_path: Path, up: Upscaler
) -> None:
    first = int(clock * 12)
    stamps = range(first, first + 12)
    begin = clock + Fraction(1, 4)
    source = make_film(tmp_path / "film.ts", stamps=stamps, sound="mp2", sound_begin=begin)
    result = upscale_video(source, tmp_path / target, upscaler=up, scale=1)
    assert result.frames == 12
    before, after = starts(source), starts(result.output)
    assert min(after) == pytest.approx(0, abs=2e-3)
    assert after[1] - after[0] == pytest.approx(before[1] - before[0], abs=2e-3)
    shown = times(result.output)
    assert [float(time - shown[0]) for time in shown] == pytest.approx(
        [float(time - times(source)[0]) for time in times(source)], abs=2e-3
    )


def test_pictures_that_begin_late_stay_late(tmp_path: Path, up: Upscaler) -> None:
    for suffix in (".mp4", ".mkv"):
        source = make_film(tmp_path / f"late{suffix}", stamps=range(12, 24), sound="mp3")
        result = upscale_video(source, tmp_path / f"out{suffix}", upscaler=up, scale=1)
        assert starts(result.output) == pytest.approx(starts(source), abs=1e-3)
        assert float(times(result.output)[0]) == pytest.approx(1, abs=1e-3)


def test_sound_an_edit_list_hides_is_not_heard_in_matroska(tmp_path: Path, up: Upscaler) -> None:
    film = make_film(tmp_path / "film.mkv", stamps=range(24), sound="mp2")
    cut = moved(film, tmp_path / "cut.mp4", Fraction(-1, 2))
    assert len(times(cut)) < 24
    result = upscale_video(cut, tmp_path / "out.mkv", upscaler=up, scale=1)
    assert 0 <= times(result.output)[0] - times(cut)[0] < Fraction(1, 8)
    assert result.frames == len(times(cut))
