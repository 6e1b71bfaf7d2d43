"""Whatever fails in whatever thread: the run ends, names the file and does the rest."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold.errors import MissingExtra, UsageError
from fourfold.jobs import picture as steps
from fourfold.jobs import pipeline
from fourfold.jobs.inputs import find_requests
from fourfold.jobs.outcome import Outcome
from fourfold.jobs.pipeline import run_all
from fourfold.jobs.stages import Cancelled, Channel, Crew
from tests.made_pictures import Nearest, enlarge, image

pytestmark = pytest.mark.timeout(60)
PIXELS = np.random.default_rng(1).integers(0, 256, (6, 8, 3), np.uint8)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    for i in range(6):
        image(PIXELS).write_to_file(str(tmp_path / "in" / f"{i}.png"))
    return tmp_path


@pytest.mark.parametrize("error", [RuntimeError, OSError, MemoryError, InterruptedError])
@pytest.mark.parametrize(
    "stage", ["open_picture", "plan_target", "decode", "enlarge_sheet", "encode", "close"]
)
def test_an_exception_in_any_stage_fails_one_picture(
    folder: Path, stage: str, error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = threading.active_count()
    calls: list[Any] = []

    def third_time(real: Any) -> Any:
        def flawed(*args: Any, **kwargs: Any) -> Any:
            calls.append(args)
            if len(calls) == 3:
                if stage == "close":
                    real(*args, **kwargs)
                raise error("surprise")
            return real(*args, **kwargs)

        return flawed

    place = steps.Picture if stage == "close" else steps
    monkeypatch.setattr(place, stage, third_time(getattr(place, stage)))
    outcomes = enlarge(folder / "in", out=folder / "out")
    assert [o.status for o in outcomes] == ["done"] * 2 + ["failed"] + ["done"] * 3
    assert "2.png" in outcomes[2].reason
    assert threading.active_count() <= before
    assert not list((folder / "out").glob(".*")), "scratch files or claims were left"


def test_a_scratch_file_that_cannot_be_removed_frees_the_claim(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(_: Any) -> None:
        raise PermissionError("held by a scanner")

    monkeypatch.setattr(steps.Sheet, "close", stuck)
    outcomes = enlarge(folder / "in", out=folder / "out")
    assert [o.status for o in outcomes] == ["failed"] * 6
    assert "held by a scanner" in outcomes[0].reason
    assert not list((folder / "out").glob("*.lock"))


@pytest.mark.parametrize("thread", ["_prepare_all", "_finish_all"])
def test_a_thread_that_dies_ends_the_run(
    folder: Path, thread: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: Any) -> None:
        raise SystemError("torn down")

    monkeypatch.setattr(pipeline._Run, thread, die)
    with pytest.raises(SystemError, match="torn down"):
        enlarge(folder / "in", out=folder / "out")


def test_usage_errors_end_the_run_and_missing_extras_one_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(request: Any, *_: Any) -> None:
        raise error

    monkeypatch.setattr(pipeline, "prepare_film", refuse)
    (folder / "in" / "film.mp4").touch()
    error: Exception = MissingExtra("films", "video")
    outcomes = enlarge(folder / "in", out=folder / "out")
    assert [o.status for o in outcomes] == ["done"] * 6 + ["failed"]
    error = UsageError("no")
    with pytest.raises(UsageError, match="no"):
        enlarge(folder / "in", out=folder / "out")


def test_stop_ends_the_run_and_the_next_one_goes_on(folder: Path) -> None:
    stop = threading.Event()
    requests, _ = find_requests([str(folder / "in")], folder / "out")
    done: list[Outcome] = []
    with pytest.raises(Cancelled):
        for outcome in run_all(requests, stop=stop, upscaler=Nearest()):
            done.append(outcome)
            if len(done) == 2:
                stop.set()
    assert len(list((folder / "out").glob("*_x2.png"))) < 6
    assert not list((folder / "out").glob(".*"))
    statuses = [o.status for o in run_all(requests, upscaler=Nearest())]
    assert statuses[:2] == ["skipped"] * 2
    assert len(list((folder / "out").glob("*_x2.png"))) == 6


def test_channels_let_go_when_work_stops() -> None:
    crew = Crew()
    channel: Channel[int] = Channel(1, crew.stop)

    def fill() -> None:
        for i in range(100):
            if not channel.put(i):
                return

    def fail() -> None:
        raise RuntimeError("broken")

    crew.start(fill, "fill")
    crew.start(fail, "fail")
    with pytest.raises(RuntimeError, match="broken"):
        Crew.join(crew)  # the time limit of this file ends it
    assert not channel.put(1)
    assert channel.stopped
    assert len(list(channel.waiting())) <= 1
