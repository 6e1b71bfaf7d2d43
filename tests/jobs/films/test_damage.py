"""Sources with something missing: what is there is kept, and the loss is said."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from fourfold import Upscaler
from tests.made_films import make_film, upscale_video
from tests.models import tiny_model

av = pytest.importorskip("av")
LONG: dict[str, Any] = {"stamps": range(40), "options": {"g": "5"}}


@pytest.fixture(scope="module")
def up() -> Upscaler:
    """One is enough: how frames are made tells nothing of what is missing."""
    return Upscaler(tiny_model(scale=2, num_blocks=1, width=4))


@pytest.mark.parametrize(
    ("suffix", "codec", "sound"),
    [
        (".mkv", "libx264", "aac"),
        (".avi", "mpeg4", "mp3"),
        (".flv", "libx264", "aac"),
        (".webm", "libvpx", "libopus"),
    ],
)
def test_a_film_that_breaks_off_is_damage(
    suffix: str, codec: str, sound: str, tmp_path: Path, up: Upscaler
) -> None:
    traits = {**LONG, "codec": codec, "sound": None if sound == "libopus" else sound}
    whole = make_film(tmp_path / f"whole{suffix}", **traits)
    assert upscale_video(whole, tmp_path / "w.mkv", upscaler=up, scale=1).damage is None
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 6 // 10])
    result = upscale_video(cut, tmp_path / "c.mkv", upscaler=up, scale=1)
    assert 5 < result.frames < 40
    assert "s are missing" in (result.damage or "")


def within_sound(path: Path, size: int) -> int:
    """Bytes of a transport stream up to the last place where a unit of sound is not finished."""
    content = path.read_bytes()
    packets = [content[at + size - 188 :][:188] for at in range(0, len(content), size)]
    is_sound = [((p[1] & 31) << 8 | p[2]) in (0x101, 0x1100) for p in packets]  # FFmpeg's choice
    goes_on = [sound and not p[1] & 64 for sound, p in zip(is_sound, packets, strict=True)]
    return (len(goes_on) - goes_on[::-1].index(True) - 1) * size


@pytest.mark.parametrize("codec", ["libx264", "mpeg2video"])
@pytest.mark.parametrize("suffix", [".ts", ".m2ts"])
@pytest.mark.parametrize("odd", [0, 57])
def test_a_transport_stream_that_breaks_off_is_damage(
    odd: int, suffix: str, codec: str, tmp_path: Path, up: Upscaler
) -> None:
    traits = {**LONG, "codec": codec, "sound": "aac", "rate": 24, "time_base": Fraction(1, 24)}
    whole = make_film(tmp_path / f"whole{suffix}", **traits)
    assert upscale_video(whole, tmp_path / "w.mkv", upscaler=up, scale=1).damage is None
    size = 192 if suffix == ".m2ts" else 188
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: within_sound(whole, size) + odd])
    result = upscale_video(cut, tmp_path / "c.mkv", upscaler=up, scale=1)
    assert result.frames > 5
    wanted = "transport stream ends within a packet" if odd else "incomplete units of sound"
    assert wanted in (result.damage or "")


def test_nothing_is_missing_of_a_silent_film(tmp_path: Path, up: Upscaler) -> None:
    for suffix in (".mkv", ".ts", ".avi"):
        film = make_film(tmp_path / f"film{suffix}", **{**LONG, "sound": None, "codec": "mpeg4"})
        assert upscale_video(film, tmp_path / "o.mkv", upscaler=up, scale=1).damage is None
    cut = tmp_path / "cut.mkv"
    content = (tmp_path / "film.mkv").read_bytes()
    cut.write_bytes(content[: len(content) * 6 // 10])
    result = upscale_video(cut, tmp_path / "c.mkv", upscaler=up, scale=1)
    assert "s are missing" in (result.damage or "")


def test_rubbish_inside_a_matroska_film_is_damage(tmp_path: Path, up: Upscaler) -> None:
    film = make_film(tmp_path / "film.mkv", **LONG)
    content = bytearray(film.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 600] = bytes(range(7, 207)) * 3
    film.write_bytes(content)
    result = upscale_video(film, upscaler=up, scale=1, suffix="_out")
    assert result.damage is not None


def test_sound_that_outlasts_the_pictures_is_no_damage(tmp_path: Path, up: Upscaler) -> None:
    for suffix in (".mkv", ".flv"):
        film = make_film(tmp_path / f"film{suffix}", sound_seconds=3.0)
        result = upscale_video(film, tmp_path / "out.mkv", upscaler=up, scale=1)
        assert result.damage is None
