"""What broadcasters and HDR put into the picture stream: captions and brightness go along."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.films.captions import with_captions
from fourfold.films.light import Light, light_of
from fourfold.films.packets import Segment, Stamp, read_segment, write_segment
from tests.made_films import make_film, picture, upscale_video

av = pytest.importorskip("av")
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
LIGHT = Light(
    display=tuple(
        Fraction(value, unit)
        for value, unit in zip(
            (34000, 16000, 13250, 34500, 7500, 3000, 15635, 16450, 50, 10000000),
            [50000] * 8 + [10000] * 2,
            strict=True,
        )
    ),
    content=(1000, 400),
)


def first_frame(path: Path) -> Any:
    with av.open(str(path)) as film:
        return next(film.decode(video=0))


def captions(path: Path) -> list[bytes]:
    with av.open(str(path)) as film:
        return [
            b"".join(bytes(d) for d in frame.side_data if d.type.name == "A53_CC")
            for frame in film.decode(video=0)
        ]


def captioned(path: Path, pieces: list[bytes], **traits: Any) -> Path:
    """An H.264 transport stream with captions in its pictures, a piece for each as it is shown."""
    plain = make_film(path.with_name("plain.ts"), stamps=range(len(pieces)), **traits)
    with av.open(str(plain)) as old, av.open(str(path), "w") as new:
        copies = {s.index: new.add_stream_from_template(s, opaque=True) for s in old.streams}
        packets = [packet for packet in old.demux() if packet.dts is not None]
        shown = sorted(packet.pts for packet in packets if packet.stream.type == "video")
        for packet in packets:
            made = packet
            if packet.stream.type == "video":
                piece = pieces[shown.index(packet.pts)]
                made = av.Packet(with_captions(bytes(packet), piece, "h264"))
                made.pts, made.dts, made.time_base = packet.pts, packet.dts, packet.time_base
                made.is_keyframe = packet.is_keyframe
            made.stream = copies[packet.stream_index]
            new.mux(made)
    return path


PIECES = [b"", *(bytes([0xFC, 0x94, 0x20 + n, 0xFF, 0, 0, 0xFE, 0, 0]) for n in range(10))]
PIECES += [b"\x00\x00\x00" * 25, b"\xfc\x80\x01" * 40]
"""Zeros, which look like start codes; more than one message holds."""


@pytest.mark.parametrize(
    ("codec", "suffix"), [("h264", ".mp4"), ("h264", ".mkv"), ("hevc", ".mp4"), ("av1", ".mkv")]
)
def test_captions_stay_with_their_frames(
    codec: str, suffix: str, tmp_path: Path, up: Upscaler
) -> None:
    pieces = PIECES[:-1] if codec == "av1" else PIECES  # FFmpeg's reader of AV1 takes one message
    source = captioned(tmp_path / "film.ts", pieces)
    wanted = captions(source)
    assert wanted == pieces
    result = upscale_video(source, tmp_path / f"out{suffix}", upscaler=up, scale=2, codec=codec)
    assert captions(result.output) == wanted
    assert not any("captions" in note for note in result.notes)


def test_captions_of_interlaced_films_are_kept(tmp_path: Path, up: Upscaler) -> None:
    options = {"flags": "+ildct+ilme", "x264-params": "interlaced=1:tff=1"}
    source = captioned(tmp_path / "film.ts", PIECES, options=options)
    result = upscale_video(source, tmp_path / "out.mp4", upscaler=up, scale=2)
    assert any("interlaced" in note for note in result.notes)
    assert captions(result.output) == captions(source) == PIECES


def test_codecs_without_a_place_for_captions_say_so(tmp_path: Path, up: Upscaler) -> None:
    source = captioned(tmp_path / "film.ts", PIECES)
    result = upscale_video(source, tmp_path / "out.mkv", upscaler=up, scale=1, codec="ffv1")
    assert any("closed captions are left out: ffv1" in note for note in result.notes)


def test_kept_frames_hold_their_captions(tmp_path: Path) -> None:
    segment = Segment([Stamp(3, 1, b"\xfc\x80\x01"), Stamp(4, 1)], [], b"head")
    write_segment(segment, tmp_path / "a.kept")
    assert read_segment(tmp_path / "a.kept") == segment


@pytest.fixture(scope="module")
def bright(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_film(
        tmp_path_factory.mktemp("hdr") / "film.mp4",
        stamps=range(3),
        codec="libx265",
        pix_fmt="yuv420p10le",
        pictures=[picture(n, dtype=np.uint16) for n in range(3)],
        options={"x265-params": f"log-level=error:master-display={DISPLAY}:max-cll=1000,400"},
        colour={"colorspace": 9, "color_range": 1, "color_primaries": 9, "color_trc": 16},
    )


@pytest.mark.parametrize(
    ("codec", "suffix"), [("hevc", ".mp4"), ("hevc", ".mkv"), ("av1", ".mkv"), ("h264", ".mp4")]
)
def test_brightness_of_hdr_is_kept(
    codec: str, suffix: str, bright: Path, tmp_path: Path, up: Upscaler
) -> None:
    assert light_of(first_frame(bright)) == LIGHT
    result = upscale_video(bright, tmp_path / f"out{suffix}", upscaler=up, scale=2, codec=codec)
    light = light_of(first_frame(result.output))
    assert light is not None
    assert light.content == LIGHT.content
    got = [float(value) for value in light.display or ()]
    assert got == pytest.approx([float(value) for value in LIGHT.display or ()], abs=1e-4)
    assert result.notes == ()


def test_codecs_without_brightness_marks_say_so(bright: Path, tmp_path: Path, up: Upscaler) -> None:
    result = upscale_video(bright, tmp_path / "out.mkv", upscaler=up, scale=1, codec="ffv1")
    assert any("brightness marks of HDR are left out: ffv1" in note for note in result.notes)
