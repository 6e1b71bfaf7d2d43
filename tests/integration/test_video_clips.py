"""Real clips of many origins: first frames in, the same film out, larger."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from fourfold import Upscaler
from fourfold.films.extent import Extent
from fourfold.films.probe import open_input, probe
from fourfold.jobs.films.run import upscale_video
from tests.made_films import packets
from tests.models import tiny_model

av = pytest.importorskip("av")
REPOSITORY = Path(__file__).parents[2]
FRAMES = 5
CLIPS = {
    "nasa_13013.mp4": (320, 180),
    "flipping_a_pancake.mkv": (426, 240),
    "sample.3gp": (176, 144),
    "chaplin.mp4": (640, 360),
    "h265_10bits.mp4": (200, 200),
    "100_0306.avi": (320, 240),
}


@pytest.fixture(scope="module")
def up() -> Upscaler:
    return Upscaler(tiny_model(scale=2, num_blocks=1, width=4), consistency=False)


@pytest.fixture(params=CLIPS)
def clip(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    default = REPOSITORY / ".." / "shared" / "data" / "video"
    folder = Path(os.environ.get("FOURFOLD_VIDEO", default))
    if not (folder / request.param).is_file():
        pytest.skip(f"no {request.param} at {folder}; set FOURFOLD_VIDEO to a folder with it")
    return Path(shutil.copy(folder / request.param, tmp_path))


def test_first_frames_of_real_clips(clip: Path, up: Upscaler) -> None:
    result = upscale_video(clip, scale=2, frames=FRAMES, upscaler=up)
    width, height = CLIPS[clip.name]
    assert (result.width, result.height, result.frames) == (2 * width, 2 * height, FRAMES)
    assert result.damage is None
    assert not list(clip.parent.glob(".*"))
    with av.open(str(clip)) as before, av.open(str(result.output)) as after:
        assert [s.type for s in after.streams] == [s.type for s in before.streams]
        old, new = before.streams.video[0], after.streams.video[0]
        deep = old.codec_context.pix_fmt.endswith("10le")
        assert new.codec_context.pix_fmt.endswith("10le") == deep
        for stream in after.streams:
            assert stream.language == before.streams[stream.index].language
        wanted = [
            f.pts * old.time_base for f, _ in zip(before.decode(old), range(FRAMES), strict=False)
        ]
        got = [f.pts * new.time_base for f in after.decode(new)]
    assert got == pytest.approx(wanted, abs=5.1e-4)
    converted = any("is converted" in note for note in result.notes)
    assert converted == (clip.suffix == ".3gp")  # AMR goes into no container we write
    for number in range(0 if converted else sum(s.type == "audio" for s in after.streams)):
        copied = packets(result.output, "audio", number=number)
        original = packets(clip, "audio", number=number)[: len(copied)]
        assert [data for _, data in copied] == [data for _, data in original]
        assert [t for t, _ in copied] == pytest.approx([t for t, _ in original], abs=5.1e-4)
        assert len(copied) > 0
    shown, played = ["ffprobe", "-show_packets"], ["ffmpeg", "-nostdin", "-f", "null", "-"]
    for program, *rest in (shown, played):
        if shutil.which(program):
            command = [program, "-v", "warning", "-i", str(result.output), *rest]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=240)
            assert done.returncode == 0
            assert done.stderr == ""


def test_real_clips_that_break_off(clip: Path) -> None:
    content = clip.read_bytes()
    if clip.suffix == ".mp4":
        pytest.skip("its index is at its end")
    for size, wanted in ((len(content), False), (len(content) * 6 // 10, True)):
        clip.write_bytes(content[:size])
        with open_input(clip) as source:
            extent = Extent(source, probe(clip))
            assert list(extent.follow(source.demux()))
            assert any("are missing" in fault for fault in extent.faults()) == wanted
