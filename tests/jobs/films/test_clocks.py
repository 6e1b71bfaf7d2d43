"""Clocks that start anywhere, jump or go below zero: the result begins at 0, in sync."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from fourfold import Upscaler
from tests.made_films import make_film, packets, picture, times, upscale_video

av = pytest.importorskip("av")


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


def test_strung_together_transport_streams_play_one_after_the_other(
    tmp_path: Path, up: Upscaler
) -> None:
    one = make_film(tmp_path / "one.ts", sound="mp2")
    source = tmp_path / "two.ts"
    source.write_bytes(one.read_bytes() * 2)
    for target in ("out.mp4", "out.mkv"):
        result = upscale_video(source, tmp_path / target, upscaler=up, scale=1)
        shown = times(result.output)
        assert len(shown) >= 23
        assert shown == sorted(shown)
        assert 1.8 < float(shown[-1] - shown[0]) < 2.2
        assert 1.7 < packets(result.output, "audio")[-1][0] < 2.2
        assert any("clock goes back" in note for note in result.notes)


@pytest.mark.parametrize("suffix", [".ts", ".flv", ".mpg", ".mkv", ".mp4"])
def test_parts_begin_where_they_should(suffix: str, tmp_path: Path, up: Upscaler) -> None:
    codec = "libx264" if suffix != ".mpg" else "mpeg2video"
    base = Fraction(1, 12) if suffix != ".mpg" else Fraction(1, 25)
    stamps = range(round(3 / base))
    source = make_film(
        tmp_path / f"film{suffix}", stamps=stamps, codec=codec, sound=None, time_base=base,
        options={"g": "12"}, rate=round(1 / base),
    )  # fmt: skip
    for start in (0.5, 1.5):
        result = upscale_video(
            source, tmp_path / f"{start}.mkv", upscaler=up, scale=1, start=start, end=start + 0.5
        )
        assert abs(result.frames - 0.5 / base) <= 1
        assert times(result.output)[0] < Fraction(1, 10)


def test_names_with_a_colon(tmp_path: Path, up: Upscaler, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_film(tmp_path / "12:30 party.mp4", stamps=range(3))
    result = upscale_video(Path("12:30 party.mp4"), upscaler=up, scale=1, suffix="_out")
    assert (tmp_path / "12:30 party_out.mp4").exists()
    assert result.frames == 3


@pytest.mark.parametrize("reordered", ["0", "2"])
@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_the_last_picture_is_shown_as_long(
    suffix: str, reordered: str, tmp_path: Path, up: Upscaler
) -> None:
    stamps = [0, 100, 250, 300, 500, 900, 1000]
    source = tmp_path / "film.mp4"
    with av.open(str(source), "w") as out:
        video = out.add_stream("libx264", rate=12, options={"bf": reordered, "threads": "1"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        video.codec_context.time_base = video.time_base = Fraction(1, 1000)
        made = []
        for number, stamp in enumerate(stamps):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            frame.pts, frame.time_base = stamp, Fraction(1, 1000)
            made += video.encode(frame.reformat(format="yuv420p"))
        for packet in [*made, *video.encode(None)]:
            packet.duration = 2000 if packet.pts == 1000 else 100
            out.mux(packet)
    result = upscale_video(source, tmp_path / f"out{suffix}", upscaler=up, scale=1)
    with av.open(str(result.output)) as film:
        stream = film.streams.video[0]
        assert stream.duration * stream.time_base == 3
    assert times(result.output)[-1] == 1


@pytest.mark.parametrize("suffix", [".mp4", ".mov"])
def test_a_constant_rate_stays_constant(suffix: str, tmp_path: Path, up: Upscaler) -> None:
    """Though the last picture decoded is not the last shown."""
    source = make_film(tmp_path / "film.mp4", stamps=range(25), options={"bf": "2"})
    result = upscale_video(source, tmp_path / f"out{suffix}", upscaler=up, scale=1)
    with av.open(str(result.output)) as film:
        stream = film.streams.video[0]
        assert stream.average_rate == 12
        assert stream.duration * stream.time_base == Fraction(25, 12)
