"""Requests are plain data, and wrong ones are refused where they are made."""

from __future__ import annotations

import os
import pickle
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fourfold import (
    Request,
    open_upscaler,
    plan,
    run,
    run_all,
    upscale_bytes,
    upscale_file,
    upscale_video,
)
from fourfold.errors import UsageError, command_line_words
from fourfold.jobs.door import plan_all
from fourfold.jobs.request import BytesOptions, EngineOptions, FilmOptions, PictureOptions
from tests.made_pictures import Nearest


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"tezture": 0.5}, "unknown option 'tezture'; did you mean 'texture'?"),
        ({"zzz": 1}, "unknown option 'zzz'; known: backend"),
        ({"scale": "4"}, "scale: want number, got '4'"),
        ({"tta": "yes"}, "tta: want boolean, got 'yes'"),
        ({"backend": "tensorflow"}, "backend: want 'auto', 'openvino'"),
        ({"scale": 2, "fit": "4k"}, "got both"),
        ({"texture": 1.5}, "texture: want 0"),
        ({"quality": 0}, "quality: want 1 to 100"),
        ({"ext": "exe"}, "ext: want auto, png"),
        ({"suffix": "a/b"}, "suffix: want a part"),
        ({"tile": 4}, "tile: want at least 32, got 4"),
        ({"max_memory": 10}, "max_memory: want at least 300MB"),
        ({"max_memory": "299MB"}, "max_memory: want at least 300MB"),
        ({"codec": "vp8"}, "codec: want"),
        ({"start": 2, "end": 1}, "end: want a time after"),
        ({"start": "soon"}, "start: want seconds"),
        ({"source": None}, "source: want string or a path or bytes, got None"),
        ({"source": ""}, "source: want the name of a file, got ''"),
        ({"source": "a\0b"}, "source: want the name of a file, got 'a\\x00b'"),
        ({"source": {"base64": 3}}, "source: want string or a path or bytes, got {'base64': 3}"),
        ({"target": ""}, "target: want the name of a file, got ''"),
        ({"tile": "9" * 5000}, "tile: want a number of LR pixels or auto"),
        ({"max_memory": "9" * 400}, "max_memory: want a size"),
        ({"frames": 3, "crf": 1.0}, "a.png: crf and frames: without effect on pictures; leave out"),
        ({"source": "a.mp4", "ext": "png"}, "a.mp4: ext: without effect on films; leave out"),
        ({"source": b"x", "preview": True}, "bytes: preview: without effect on pictures"),
    ],
)
def test_wrong_options_are_usage_errors_of_one_line(options: dict, says: str) -> None:
    with pytest.raises(UsageError) as refused:
        Request(**{"source": "a.png", **options})
    assert says in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_least_tile_and_memory_are_taken() -> None:
    assert Request(source="a.png", tile=32, max_memory="300MB").tile == 32
    assert Request(source="a.png", tile="0").tile == "0"


def test_options_for_others_of_a_folder_are_no_error() -> None:
    assert Request(source="a.png", target="out", relative="a.png", frames=3, ext="png").frames == 3
    assert Request(source="-", frames=3).useless() == ["frames"]  # found by `run`, or filled in
    with pytest.raises(UsageError, match="-: frames: without effect"):
        run(Request(source="-", frames=3), upscaler=Nearest())


@pytest.mark.parametrize("given", [None, "a.png", 3, ["a.png"]])
@pytest.mark.parametrize(
    "call", [run, plan, open_upscaler, lambda r: next(run_all(r)), lambda r: next(plan_all([r]))]
)
def test_what_is_no_request_is_told_what_is_wanted(call, given: object) -> None:
    with pytest.raises(UsageError, match=r"want (a|several) Requests?, ") as refused:
        call(given)
    assert "\n" not in str(refused.value)


def test_what_is_no_upscaler_is_told_what_is_wanted() -> None:
    with pytest.raises(UsageError, match="upscaler: want an Upscaler, got 3"):
        run(Request(source="a.png"), upscaler=3)


def test_options_are_called_as_the_caller_calls_them() -> None:
    with pytest.raises(UsageError, match=r"^max_memory: want at least 300MB"):
        Request(source="a.png", max_memory=10)
    with command_line_words(), pytest.raises(UsageError, match=r"^--max-memory: want at least"):
        Request(source="a.png", max_memory=10)
    with command_line_words(), pytest.raises(UsageError, match=r"^-n: want string or a path"):
        Request(source="a.png", model=None)


@pytest.mark.parametrize("ext", ["jpeg", ".JPEG", "jpg", "JPG"])
def test_jpeg_is_jpg(ext: str) -> None:
    assert Request(source="a.png", ext=ext).ext == "jpg"


SOURCES = ["a.png", Path("x/a.png"), b"\x89PNG\0\xff", "-"]
if sys.platform == "linux":
    SOURCES.append(os.fsdecode(b"caf\xe9.png"))


@pytest.mark.parametrize("source", SOURCES)
def test_requests_travel_as_json_and_pickle(source: str | Path | bytes) -> None:
    request = Request(source=source, target=Path("out"), scale=2.5, quality=80, tile=64)
    assert Request.model_validate_json(request.model_dump_json()) == request
    assert pickle.loads(pickle.dumps(request)) == request


def test_requests_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Request(source="a.png").scale = 2


def test_every_option_is_a_keyword_of_some_way_in() -> None:
    keywords = PictureOptions.__annotations__.keys() | FilmOptions.__annotations__.keys()
    assert keywords == Request.model_fields.keys() - {"source", "target", "relative", "kind"}
    assert EngineOptions.__annotations__.keys() < BytesOptions.__annotations__.keys()


@pytest.mark.parametrize("way", [upscale_file, upscale_bytes, upscale_video])
def test_no_way_in_takes_unknown_options(way, tmp_path: Path) -> None:
    source = b"" if way is upscale_bytes else tmp_path / "a.png"
    with pytest.raises(UsageError, match="did you mean 'texture'"):
        way(source, tezture=0.5, upscaler=Nearest())


def test_options_of_other_work_are_unknown(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown option 'crf'"):
        upscale_file(tmp_path / "a.png", crf=3)
    with pytest.raises(UsageError, match="unknown option 'quality'"):
        upscale_video(tmp_path / "a.mp4", quality=3)
    with pytest.raises(UsageError, match="unknown option 'overwrite'"):
        upscale_bytes(b"", overwrite=True)


def test_real_options_beside_an_upscaler_are_contradictions(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="model, tta: settled by the Upscaler"):
        upscale_file(tmp_path / "a.png", upscaler=Nearest(), tta=True, model="srgan-x4")


@pytest.mark.slow
def test_type_checkers_see_every_option(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    code = tmp_path / "code.py"
    code.write_text(
        "import fourfold\n"
        "fourfold.upscale_file('a', 'b', texture=0.5)\n"
        "fourfold.upscale_file('a', 'b', tezture=0.5)\n"
        "fourfold.upscale_bytes(b'', ext='exe')\n"
        "fourfold.Request(source='a', scale='4')\n"
    )
    command = [sys.executable, "-m", "mypy", "--no-incremental", str(code)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=280)
    found = re.findall(r"code\.py:(\d+): error", done.stdout)
    assert found == ["3", "4", "5"], done.stdout
