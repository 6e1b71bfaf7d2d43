"""Covers, fonts, transparency and work folders: kept, or gone with a word."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from fourfold import Upscaler
from fourfold.errors import InputError, OutputError
from fourfold.films.join import Joined, join
from fourfold.films.probe import ATTACHED_PICTURE
from fourfold.jobs.films import run
from tests.made_films import make_film, packets, upscale_video

av = pytest.importorskip("av")


def cover(kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (16, 16), (200, 30, 90)).save(buffer, kind)
    return buffer.getvalue()


def covers(path: Path) -> list[bytes]:
    with av.open(str(path)) as film:
        found = [s.index for s in film.streams.video if int(s.disposition) & ATTACHED_PICTURE]
        return [bytes(p) for p in film.demux() if p.stream_index in found and p.size]


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_covers_travel_between_matroska_and_mp4(kind: str, tmp_path: Path, up: Upscaler) -> None:
    picture = cover(kind)
    film = make_film(
        tmp_path / "film.mkv",
        stamps=range(4),
        attachments=[(f"c.{kind}", f"image/{kind}", picture)],
    )
    assert covers(film) == [picture]
    last = film
    for target in ("a.mkv", "b.mp4", "c.mkv"):
        result = upscale_video(last, tmp_path / target, upscaler=up, scale=1)
        last = result.output
        assert covers(last) == [picture]
        assert result.notes == ()
    result = upscale_video(last, tmp_path / "d.mov", upscaler=up, scale=1)
    assert covers(result.output) == []
    assert any("mov cannot hold it" in note for note in result.notes)


def test_fonts_are_left_out_of_webm(tmp_path: Path, up: Upscaler) -> None:
    fonts = [("face.ttf", "application/x-truetype-font", b"x")]
    film = make_film(
        tmp_path / "film.mkv", stamps=range(3), sound="libopus", attachments=fonts, sound_rate=48000
    )
    result = upscale_video(film, tmp_path / "out.webm", upscaler=up, scale=1, codec="av1")
    assert any("webm cannot hold it" in note for note in result.notes)
    assert packets(result.output, "audio")


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_the_same_segments_make_the_same_file(
    suffix: str, tmp_path: Path, up: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    attachments = [("c.png", "image/png", cover("png"))] if suffix == ".mkv" else []
    film = make_film(tmp_path / f"film{suffix}", stamps=range(4), attachments=attachments)
    again = tmp_path / f"again{suffix}"

    def twice(info: Any, files: Any, target: Path, encoding: Any, window: Any) -> Joined:
        join(info, files, again, encoding, window)
        return join(info, files, target, encoding, window)

    monkeypatch.setattr(run, "join", twice)
    result = upscale_video(film, upscaler=up, scale=1, suffix="_out")
    assert result.output.read_bytes() == again.read_bytes()


def test_transparency_goes_with_a_word(tmp_path: Path, up: Upscaler) -> None:
    film = make_film(
        tmp_path / "film.mkv", stamps=range(2), codec="ffv1", pix_fmt="yuva420p", sound=None
    )
    result = upscale_video(film, tmp_path / "out.mkv", upscaler=up, scale=1)
    assert result.notes == ("transparency is not kept in films",)


def test_the_codec_is_named_where_it_decides_the_container(tmp_path: Path, up: Upscaler) -> None:
    film = make_film(tmp_path / "film.mp4", stamps=range(2))
    result = upscale_video(film, upscaler=up, scale=1, codec="prores", suffix="_p")
    assert result.notes == ("written as .mov, since .mp4 cannot hold prores",)


def test_work_that_cannot_go_on_leaves_nothing(
    tmp_path: Path, up: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = make_film(tmp_path / "film.mp4", stamps=range(3))
    with pytest.raises(InputError, match="no frame between"):
        upscale_video(film, upscaler=up, start=100)
    assert list(tmp_path.iterdir()) == [film]
    monkeypatch.setattr(run, "audit", lambda *_, **__: ["it is not as it should be"])
    with pytest.raises(OutputError, match="reading it back"):
        upscale_video(film, upscaler=up)
    assert list(tmp_path.iterdir()) == [film]


def test_work_that_can_go_on_stays(
    tmp_path: Path, up: Upscaler, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("disk full")

    film = make_film(tmp_path / "film.mp4", stamps=range(3))
    monkeypatch.setattr(run, "join", full)
    with pytest.raises(OutputError, match="disk full"):
        upscale_video(film, upscaler=up)
    monkeypatch.undo()
    assert len(list(tmp_path.glob(".*.fourfold"))) == 1
    assert upscale_video(film, upscaler=up).resumed == 3
