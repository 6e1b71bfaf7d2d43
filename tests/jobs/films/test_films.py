"""A film comes out as the same film, larger: every trait is read back from the result."""

from __future__ import annotations

import re
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.errors import InputError, OutputError, UsageError
from fourfold.films import probe
from fourfold.jobs.films import work
from fourfold.jobs.films.run import Cancelled, VideoSettings, estimate_video
from fourfold.jobs.size import TargetSize
from tests.made_films import frames, in_memory, make_film, packets, picture, times, upscale_video

av = pytest.importorskip("av")
VARYING = (0, 7, 40, 41, 90, 100, 160, 161, 162, 163, 260, 300)


def enlarge(source: Path, up: Upscaler, target: str | None = None, **options: Any) -> Any:
    out = None if target is None else source.with_name(target)
    return upscale_video(source, out, upscaler=up, **options)


def video_of(path: Path) -> Any:
    with av.open(str(path)) as film:
        return film.streams.video[0]


def assert_plays(path: Path) -> None:
    """FFmpeg's own programs, where installed, have nothing to complain about."""
    if shutil.which("ffmpeg") is None:
        return
    # At the stream's own time base: FFmpeg's null output counts at an average rate otherwise.
    own = ["-fps_mode", "passthrough", "-enc_time_base", "-1"]
    play = [
        "ffmpeg",
        "-nostdin",
        "-v",
        "warning",
        "-i",
        str(path),
        "-map",
        "0:v",
        *own,
        "-f",
        "null",
        "-",
    ]
    done = subprocess.run(play, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0
    assert done.stderr == ""


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_variable_frame_rate_stays_variable(suffix: str, tmp_path: Path, up: Upscaler) -> None:
    base = Fraction(1, 1000)
    source = make_film(tmp_path / f"film{suffix}", stamps=VARYING, time_base=base)
    result = enlarge(source, up, scale=2)
    assert result.output == tmp_path / f"film_x2{suffix}"
    assert times(result.output) == times(source) == [stamp * base for stamp in VARYING]
    assert packets(result.output, "audio") == packets(source, "audio")
    assert (video_of(result.output).width, video_of(result.output).height) == (128, 96)
    assert result.damage is None
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"film{suffix}", f"film_x2{suffix}"]
    assert_plays(result.output)


def test_everything_that_travels_along(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(
        tmp_path / "film.mkv",
        subtitles=[(100, 300, "Bonjour"), (500, 900, "Au revoir")],
        attachments=[("face.ttf", "application/x-truetype-font", b"not really a font")],
        chapters=[(0, 400, "One"), (400, 1000, "Two")],
        metadata={"title": "A film", "WHATEVER": "free text"},
    )
    result = enlarge(source, up, scale=2)
    assert packets(result.output, "subtitle") == packets(source, "subtitle")
    assert packets(result.output, "audio") == packets(source, "audio")
    with av.open(str(source)) as before, av.open(str(result.output)) as after:
        assert [s.type for s in after.streams] == [s.type for s in before.streams]
        assert after.chapters() == before.chapters()
        assert after.metadata["title"] == "A film"
        assert after.metadata["WHATEVER"] == "free text"
        assert after.streams.subtitles[0].metadata["language"] == "fra"
        attached = next(s for s in after.streams if s.type == "attachment")
        assert (attached.name, attached.data) == ("face.ttf", b"not really a font")
    assert result.notes == ()
    assert_plays(result.output)


def test_mp4_takes_subtitles_in_its_own_form(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(
        tmp_path / "film.mkv",
        subtitles=[(100, 300, "Bonjour"), (500, 900, "Au revoir")],
        attachments=[("face.ttf", "application/x-truetype-font", b"x")],
        chapters=[(0, 400, "One"), (400, 1000, "Two")],
        metadata={"title": "A film", "whatever": "free text"},
        sound="pcm_s16le",
    )
    result = enlarge(source, up, "out.mov", scale=2)
    with av.open(str(result.output)) as film:
        assert [c["metadata"]["title"] for c in film.chapters()] == ["One", "Two"]
        assert film.metadata["WHATEVER"] == "free text"  # Matroska writes names so
        stream = film.streams.subtitles[0]
        assert stream.codec_context.name == "mov_text"
        assert stream.metadata["language"] == "fra"
    shown = [data[2:] for _, data in packets(result.output, "subtitle") if len(data) > 2]
    assert shown == [b"Bonjour", b"Au revoir"]
    assert any("attachment" in note for note in result.notes)
    again = enlarge(result.output, up, "back.mkv", scale=1)
    assert [data for _, data in packets(again.output, "subtitle")] == [b"Bonjour", b"Au revoir"]


def test_sound_a_container_cannot_hold_is_converted(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.avi", codec="mpeg4", sound="wmav2")
    for target, name in (("out.mp4", "aac"), (None, "flac")):
        result = enlarge(source, up, target, scale=2)
        with av.open(str(result.output)) as film:
            assert film.streams.audio[0].codec_context.name == name
        assert any("audio stream 1 (wmav2) is converted" in note for note in result.notes)
        assert 0.8 < packets(result.output, "audio")[-1][0] < 1.2
        assert result.frames == 12
    assert result.output.suffix == ".mkv"


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_is_kept(rotation: int, tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.mp4", rotation=rotation)
    for target in ("out.mp4", "out.mkv"):
        result = enlarge(source, up, target, scale=2)
        with av.open(str(result.output)) as film:
            assert next(film.decode(video=0)).rotation % 360 == rotation % 360


@pytest.mark.parametrize("size", [(50, 38), (51, 37), (63, 47)])
def test_odd_sizes_come_out_even(size: tuple[int, int], tmp_path: Path, up: Upscaler) -> None:
    source = make_film(
        tmp_path / "film.mkv", size=size, codec="ffv1", pix_fmt="yuv444p", sound=None
    )
    result = enlarge(source, up, scale=1.5)
    width, height = result.width, result.height
    assert width % 2 == height % 2 == 0
    assert abs(width - 1.5 * size[0]) <= 1
    assert abs(height - 1.5 * size[1]) <= 1
    assert (video_of(result.output).width, video_of(result.output).height) == (width, height)
    assert times(result.output) == times(source)


def test_pixels_that_are_not_square_stay_so(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.mp4", aspect=Fraction(16, 15))
    result = enlarge(source, up, scale=2)
    assert video_of(result.output).sample_aspect_ratio == Fraction(16, 15)
    fitted = enlarge(source, up, "fit.mp4", fit="256x180")
    # Shown 64 * 16/15 by 48 fits 256x180 by a factor of 3.75.
    assert (fitted.width, fitted.height) == (240, 180)


def test_ten_bits_stay_ten_bits(tmp_path: Path, up: Upscaler) -> None:
    pictures = [picture(n, dtype=np.uint16) for n in range(12)]
    source = make_film(
        tmp_path / "film.mkv", codec="ffv1", pix_fmt="yuv420p10le", pictures=pictures, sound=None
    )
    for codec, target in (("auto", "auto.mp4"), ("h264", "h264.mp4"), ("ffv1", "f.mkv")):
        result = enlarge(source, up, target, codec=codec, scale=2)
        assert video_of(result.output).codec_context.pix_fmt in ("yuv420p10le", "yuv444p10le")
        assert len(times(result.output)) == 12


@pytest.mark.parametrize(
    ("codec", "target", "name"),
    [
        ("hevc", "out.mp4", "hevc"),
        ("av1", "out.mkv", "libdav1d"),
        ("ffv1", "out.mkv", "ffv1"),
        ("prores", "out.mov", "prores"),
    ],
)
def test_codecs(codec: str, target: str, name: str, tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.mp4", stamps=range(5))
    result = enlarge(source, up, target, codec=codec, scale=2)
    assert video_of(result.output).codec_context.name == name
    # Matroska knows no time below zero: all streams move by the sound's encoder delay together.
    shift = times(result.output)[0] - times(source)[0]
    assert 0 <= shift < 0.1
    moved = [time + shift for time in times(source)]
    assert times(result.output) == pytest.approx(moved, abs=1.1e-3)


COLOURS = {
    "bt601": {"colorspace": 5, "color_range": 1, "color_primaries": 5, "color_trc": 6},
    "bt709": {"colorspace": 1, "color_range": 1, "color_primaries": 1, "color_trc": 1},
    "full": {"colorspace": 1, "color_range": 2, "color_primaries": 1, "color_trc": 1},
    "hdr": {"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 16},
}


@pytest.mark.parametrize("name", COLOURS)
def test_colour_tags_are_honoured_and_kept(name: str, tmp_path: Path) -> None:
    up = Upscaler("srresnet-x4")
    flat = np.empty((16, 16, 3), np.uint8)
    flat[:] = (200, 90, 40)
    options = {"crf": "1"}
    source = make_film(
        tmp_path / "film.mp4", stamps=[0], size=(16, 16), pictures=[flat], sound=None,
        colour=COLOURS[name], options=options,
    )  # fmt: skip
    result = enlarge(source, up, "out.mp4", crf=1)
    with av.open(str(source)) as before, av.open(str(result.output)) as after:
        (old,), (new,) = list(before.decode(video=0)), list(after.decode(video=0))
        for tag, code in COLOURS[name].items():
            assert getattr(new, tag) == code, tag
        for plane in range(3):
            was = np.frombuffer(old.planes[plane], np.uint8)[0]
            now = np.frombuffer(new.planes[plane], np.uint8)[0]
            assert abs(int(was) - int(now)) <= 2


def test_untagged_films_are_tagged_as_players_would_take_them(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.mp4", stamps=range(2))
    result = enlarge(source, up, fit="720p")
    assert video_of(result.output).codec_context.colorspace == 6  # BT.601, though it is HD now


def test_identical_frames_are_computed_once(tmp_path: Path, up: Upscaler) -> None:
    still = [picture(n // 4) for n in range(12)]
    source = make_film(tmp_path / "film.mkv", codec="ffv1", pix_fmt="yuv444p", pictures=still)
    result = enlarge(source, up, scale=2)
    assert result.repeated == 9
    assert len(frames(result.output)) == 12


def test_no_sound_no_length(tmp_path: Path, up: Upscaler) -> None:
    source = tmp_path / "film.mkv"
    source.write_bytes(in_memory(format="matroska", sound=None))
    seen = []
    result = enlarge(source, up, scale=2, progress=seen.append)
    assert result.frames == 12
    assert seen[0].total is None
    assert seen[-1].total == 12
    assert times(result.output) == times(source)


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_what_decodes_of_a_truncated_film_is_kept(
    suffix: str, tmp_path: Path, up: Upscaler
) -> None:
    whole = make_film(
        tmp_path / f"whole{suffix}", stamps=range(40), options={"g": "5", "crf": "10"}
    )
    if suffix == ".mp4":  # the index first, or nothing can be read of the rest
        with av.open(str(whole)) as old, av.open(
            str(tmp_path / "index_first.mp4"), "w", container_options={"movflags": "faststart"}
        ) as new:  # fmt: skip
            copies = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
            for packet in old.demux():
                if packet.size:
                    packet.stream = copies[packet.stream.index]
                    new.mux(packet)
        whole = tmp_path / "index_first.mp4"
    source = tmp_path / f"cut{suffix}"
    source.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    result = enlarge(source, up, "out.mkv", scale=2)
    assert 8 <= result.frames < 40
    assert len(times(result.output)) == result.frames
    if suffix == ".mp4":
        assert re.search(r"s of 3\.\d s are missing", result.damage or "")


def test_part_of_a_film(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(
        tmp_path / "film.mkv", stamps=range(36), chapters=[(0, 1500, "One"), (1500, 3000, "Two")]
    )
    result = enlarge(source, up, scale=2, start="1", end=2.5)
    assert result.frames == 18
    got = times(result.output)
    assert float(got[0]) == pytest.approx(0, abs=0.04)
    sound = packets(result.output, "audio")
    assert sound[0][0] < 0.1
    assert 1.3 < sound[-1][0] < 1.6
    with av.open(str(result.output)) as film:
        assert [(c["start"], c["end"]) for c in film.chapters()] == [
            (0, 500_000_000), (500_000_000, 1_500_000_000),
        ]  # fmt: skip
    few = enlarge(source, up, "few.mkv", scale=2, frames=3)
    assert few.frames == 3
    assert packets(few.output, "audio")[-1][0] < 0.25


def test_preview_stands_beside_bicubic(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.mp4", stamps=range(48))
    result = enlarge(source, up, scale=2, preview=True)
    assert result.output.name == "film_x2_preview.mp4"
    assert (result.width, result.height, result.frames) == (256, 96, 36)


@pytest.mark.parametrize("rotation", [0, 90, 180, -90])
def test_preview_stands_beside_bicubic_when_shown(
    rotation: int, tmp_path: Path, up: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    black = lambda lr, size: np.zeros((*size, 3), lr.dtype)  # noqa: E731
    monkeypatch.setattr(work, "imresize", black)
    white = [np.full((48, 64, 3), 255, np.uint8)] * 3
    source = make_film(
        tmp_path / "film.mp4", rotation=rotation or None, stamps=range(3), pictures=white
    )
    result = enlarge(source, up, scale=2, preview=True)
    with av.open(str(result.output)) as film:
        frame = next(film.decode(video=0))
        shown = np.rot90(frame.to_ndarray(format="gray"), frame.rotation // 90)
    high, wide = shown.shape
    assert (wide, high) == result.shown == ((192, 128) if rotation in (90, -90) else (256, 96))
    assert shown[:, : wide // 2 - 8].mean() < 20
    assert shown[:, wide // 2 + 8 :].mean() > shown[:, : wide // 2 - 8].mean() + 50


def test_plans_say_what_players_show(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.mp4", rotation=90, aspect=Fraction(2), stamps=range(3))
    size = VideoSettings(size=TargetSize(scale=2.0))
    estimate = estimate_video(source, None, up, size)
    assert (estimate.width, estimate.height) == (128, 96)
    assert estimate.shown == (96, 256)


def test_unknown_length_is_guessed_from_size(
    tmp_path: Path, up: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "film.mkv"
    source.write_bytes(
        in_memory(format="matroska", stamps=range(200), sound=None, options={"g": "5"})
    )
    estimate = estimate_video(source, None, up, VideoSettings())
    assert (estimate.frames, estimate.guess) == (None, 200)
    monkeypatch.setattr(probe, "_GUESSED_FROM", source.stat().st_size // 4)
    seen: list[Any] = []
    estimate = estimate_video(source, None, up, VideoSettings())
    assert estimate.guess == pytest.approx(200, rel=0.2)
    assert estimate.seconds is not None
    with pytest.raises(Cancelled):
        enlarge(source, up, progress=seen.append, cancel=lambda: len(seen) > 4)
    assert (seen[0].total, seen[0].guess) == (None, estimate.guess)
    assert seen[-1].seconds_left > 0
    half = estimate_video(source, None, up, VideoSettings(start=Fraction(100, 12)))
    assert half.guess == estimate.guess - 100


def test_interlaced_films_are_deinterlaced_one_for_one(tmp_path: Path, up: Upscaler) -> None:
    options = {"flags": "+ildct+ilme", "x264-params": "interlaced=1:tff=1"}
    source = make_film(tmp_path / "film.mkv", options=options)
    result = enlarge(source, up, scale=2)
    assert any("interlaced" in note for note in result.notes)
    assert times(result.output) == times(source)


@pytest.mark.parametrize("interlaced", [False, True])
def test_frames_that_change_size_are_brought_to_the_first(
    interlaced: bool, tmp_path: Path, up: Upscaler
) -> None:
    options = {"x264-params": "interlaced=1" if interlaced else "bframes=0"}
    parts = [
        make_film(tmp_path / f"{n}.ts", size=size, sound=None, options=options)
        for n, size in enumerate([(64, 48), (96, 32), (64, 48)])
    ]
    source = tmp_path / "film.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    outcome = upscale_video(source, tmp_path / "o.mkv", upscaler=up)
    assert outcome.frames == 36
    assert any("12 frames of another size were first brought to 64x48" in n for n in outcome.notes)
    with av.open(str(tmp_path / "o.mkv")) as film:
        frames = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    wanted = picture(6, size=(96, 32)).mean(axis=(0, 1))
    assert np.abs(frames[18].mean(axis=(0, 1)) - wanted).max() < 6


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_frames_too_small_for_a_codec_are_one_line(
    codec: str, tmp_path: Path, up: Upscaler
) -> None:
    """x264 would crash, others print lines of their own."""
    source = make_film(tmp_path / "film.mkv", size=(2, 2), codec="ffv1", sound=None)
    with pytest.raises(OutputError, match="cannot be encoded at 2x2"):
        upscale_video(source, tmp_path / "o.mkv", upscaler=up, scale=1, codec=codec)
    assert [p.name for p in tmp_path.iterdir()] == ["film.mkv"]


def test_progress_and_cancel(tmp_path: Path, up: Upscaler) -> None:
    source = make_film(tmp_path / "film.mp4", stamps=range(24))
    seen: list[Any] = []
    with pytest.raises(Cancelled):
        enlarge(source, up, scale=2, progress=seen.append, cancel=lambda: len(seen) > 20)
    assert seen[0].frames == 0
    assert seen[0].seconds_left > 0
    assert not (tmp_path / "film_x2.mp4").exists()
    result = enlarge(source, up, scale=2)
    assert result.resumed == 0  # a segment holds more frames than this film has
    assert sorted(p.name for p in tmp_path.iterdir()) == ["film.mp4", "film_x2.mp4"]


def test_errors_name_the_file_and_leave_nothing(tmp_path: Path, up: Upscaler) -> None:
    rubbish = tmp_path / "film.mp4"
    rubbish.write_bytes(b"nothing of the kind")
    with pytest.raises(InputError, match=r"film\.mp4: not a readable film"):
        enlarge(rubbish, up)
    with pytest.raises(InputError, match="no such file"):
        enlarge(tmp_path / "absent.mp4", up)
    source = make_film(tmp_path / "real.mp4", stamps=range(3))
    with pytest.raises(OutputError, match="is the input itself"):
        enlarge(source, up, "real.mp4")
    for options, words in (
        ({"codec": "vp8"}, "codec"),
        ({"crf": 99}, "crf"),
        ({"preset": "hurry"}, "preset"),
        ({"codec": "ffv1", "crf": 3}, "crf"),
        ({"start": 2, "end": 1}, "end"),
        ({"frames": 0}, "frames"),
        ({"start": "soon"}, "start"),
    ):
        with pytest.raises(UsageError, match=words):
            enlarge(source, up, **options)
    with pytest.raises(UsageError, match=r"\.mkv"):
        enlarge(source, up, "out.mp4", codec="ffv1")
    with pytest.raises(InputError, match="no frame between"):
        enlarge(source, up, start=100)
    assert {p.name for p in tmp_path.iterdir() if not p.name.startswith(".")} == {
        "film.mp4", "real.mp4",
    }  # fmt: skip
