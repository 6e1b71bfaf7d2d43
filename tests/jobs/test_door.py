"""The short ways in, plans, progress and stopping."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips

import fourfold
from fourfold import Request, Upscaler, open_upscaler, plan, run, upscale_bytes, upscale_file
from fourfold.errors import InputError, OutputError, UsageError
from fourfold.jobs.claims import Claims
from fourfold.jobs.door import plan_all
from fourfold.jobs.stages import Cancelled
from fourfold.weights.format import save_model
from tests.made_films import make_film
from tests.made_pictures import Nearest, image
from tests.models import tiny_model

pytestmark = pytest.mark.timeout(120)


def noise(seed: int, height: int = 12, width: int = 17) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    image(noise(0)).write_to_file(str(tmp_path / "a.png"))
    return tmp_path / "a.png"


def test_a_hundred_calls_from_four_threads_equal_the_serial_ones() -> None:
    up = Upscaler(tiny_model())
    sources = [image(noise(i, 10 + i % 9, 12 + i % 7)).pngsave_buffer() for i in range(100)]
    exts = [("png", "jpg", "webp", "tiff")[i % 4] for i in range(100)]
    serial = [upscale_bytes(s, ext=ext, upscaler=up) for s, ext in zip(sources, exts, strict=True)]
    with ThreadPoolExecutor(4) as pool:
        ways = [
            pool.submit(upscale_bytes, s, ext=ext, upscaler=up)
            for s, ext in zip(sources, exts, strict=True)
        ]
        assert [way.result(100) for way in ways] == serial
    third = pyvips.Image.new_from_buffer(serial[3], "")
    assert (third.width, third.height) == (60, 52)


def test_bytes_and_files_become_the_same_bytes(photo: Path) -> None:
    outcome = upscale_file(photo, upscaler=Nearest())
    assert upscale_bytes(photo.read_bytes(), upscaler=Nearest()) == outcome.path.read_bytes()
    assert (outcome.size, outcome.model, outcome.notes) == ((34, 24), "nearest", ())
    assert outcome.seconds > 0


def test_bytes_that_are_no_picture_are_refused() -> None:
    with pytest.raises(InputError, match="empty"):
        upscale_bytes(b"", upscaler=Nearest())
    with pytest.raises(UsageError, match="want bytes, got str"):
        upscale_bytes("a.png", upscaler=Nearest())  # type: ignore[arg-type]


def test_a_file_tells_what_was_not_kept(tmp_path: Path) -> None:
    rgba = np.dstack([noise(0), np.full((12, 17), 90, np.uint8)])
    image(rgba).write_to_file(str(tmp_path / "a.png"))
    request = Request(source=tmp_path / "a.png", ext="jpg")
    up = Upscaler(tiny_model())
    expected = plan(request, upscaler=up).notes
    assert expected == ("jpg has no transparency; shown on white",)
    assert run(request, upscaler=up).notes == expected


def test_a_plan_tells_all_and_touches_nothing(photo: Path) -> None:
    request = Request(source=photo, target=photo.parent / "new", fit="100x100")
    before = photo.stat().st_mtime_ns
    up = Upscaler(tiny_model())
    planned = plan(request, upscaler=up)
    assert (planned.width, planned.height, planned.count) == (100, 71, 1)
    assert planned.path == photo.parent / "new" / "a_100x100.png"
    assert planned.pixels == 7100
    assert planned.seconds > 0
    assert planned.exists is None
    assert [p.name for p in photo.parent.iterdir()] == ["a.png"]
    assert photo.stat().st_mtime_ns == before
    run(request.model_copy(update={"target": None}), upscaler=up)
    again = request.model_copy(update={"target": None})
    assert "exists (overwrite=True" in plan(again, upscaler=up).exists
    other = plan(again, upscaler=Upscaler(tiny_model(), tta=True))
    assert other.exists.startswith("a result of other settings")


def test_plans_of_many_name_what_would_fail(photo: Path) -> None:
    image(noise(1)).write_to_file(str(photo.with_suffix(".jpg")))
    target = photo.parent / "out"
    sources = [photo, photo.with_suffix(".jpg"), photo.with_name("gone.png")]
    requests = [Request(source=s, target=target, relative=s.name, ext="png") for s in sources]
    first, second, third = plan_all(requests, upscaler=Upscaler(tiny_model()))
    assert first.path == target / "a_x4.png"
    assert "is the result of" in second.reason
    assert "no such file" in third.reason


def test_progress_of_every_tile_and_stop(photo: Path) -> None:
    image(noise(2, 40, 300)).write_to_file(str(photo))
    seen: list[Any] = []
    run(Request(source=photo), progress=seen.append, upscaler=Nearest(tile=50))
    assert len(seen) == 7
    assert [p.share for p in seen] == sorted({p.share for p in seen})
    assert (seen[0].share, seen[-1].share) == (0, 1)
    assert seen[-1].seconds_left == 0
    stop = threading.Event()

    def watch(now: Any) -> None:
        seen.append(now)
        if now.share > 0.3:
            stop.set()

    request = Request(source=photo, overwrite=True)
    before = (photo.parent / "a_x2.png").read_bytes()
    with pytest.raises(Cancelled):
        run(request, progress=watch, stop=stop, upscaler=Nearest(tile=50))
    assert seen[-1].share < 0.5
    assert (photo.parent / "a_x2.png").read_bytes() == before
    assert sorted(p.name for p in photo.parent.iterdir()) == ["a.png", "a_x2.png"]


@pytest.mark.parametrize("film", [False, True])
def test_stop_does_not_wait_for_the_tile_under_way(
    photo: Path, film: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here a tile ends only when the call has."""
    at_work, go_on, stop = threading.Event(), threading.Event(), threading.Event()
    up = Upscaler(tiny_model(scale=2, num_blocks=1, width=4))
    open_network = up._windows._run
    source = photo
    if film:
        pytest.importorskip("av")
        source = make_film(photo.with_name("film.mp4"), stamps=range(3))
        fourfold.jobs.engines.pixel_rate(up)
        monkeypatch.setattr("fourfold.jobs.films.run.trial_speed", lambda *_: 1.0)

    def slow(*args: Any) -> Any:
        at_work.set()
        assert go_on.wait(60)
        return open_network(*args)

    monkeypatch.setattr(up._windows, "_run", slow)
    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(run, Request(source=source), stop=stop, upscaler=up)
        assert at_work.wait(30)
        stop.set()
        try:
            with pytest.raises(Cancelled):
                work.result(30)
        finally:
            go_on.set()
    assert [p.name for p in photo.parent.glob("[!.]*_x2.*")] == []


def test_an_engine_opened_for_a_request_serves_its_like(tmp_path: Path, photo: Path) -> None:
    save_model(tiny_model(), tmp_path / "m.safetensors")
    request = Request(source=photo, model=str(tmp_path / "m.safetensors"), tile=64)
    up = open_upscaler(request)
    assert run(request, upscaler=up).model == "tiny"
    with pytest.raises(UsageError, match="tta: settled"):
        run(request.model_copy(update={"tta": True}), upscaler=up)


def test_films_and_pictures_get_the_model_that_suits_them() -> None:
    from fourfold.jobs.engines import choose_model

    assert choose_model(Request(source="a.mp4"))[0] == "srresnet-fast-x4"
    assert choose_model(Request(source="a.png"))[0] == "srgan-x4"
    assert choose_model(Request(source="a.mp4", texture=0.5))[0] == "srgan-x4"
    assert choose_model(Request(source="a.mp4", model="x"))[0] == "x"


def test_a_film_through_the_door(tmp_path: Path) -> None:
    pytest.importorskip("av")
    film = make_film(tmp_path / "film.mp4", stamps=range(6))
    up = Upscaler(tiny_model(scale=2, num_blocks=1, width=4))
    target = tmp_path / "new"
    request = Request(source=film, target=target, relative="x/film.mp4")
    planned = plan(request, upscaler=up)
    assert (planned.path, planned.count) == (target / "x" / "film_x2.mp4", 6)
    assert [p.name for p in tmp_path.iterdir()] == ["film.mp4"]
    seen: list[Any] = []
    outcome = run(request, upscaler=up, progress=seen.append)
    assert (outcome.path, outcome.size, outcome.frames) == (planned.path, (128, 96), 6)
    assert [p.done for p in seen][:2] == [0, 1]
    assert run(request, upscaler=up).status == "skipped"
    stop = threading.Event()
    stop.set()
    again = Request(source=film, target=target, relative="x/film.mp4", overwrite=True)
    with pytest.raises(Cancelled):
        run(again, upscaler=up, stop=stop)


def test_public_names_load_on_first_use() -> None:
    for name in fourfold.__all__:
        assert getattr(fourfold, name) is not None


def test_calls_that_share_claims_and_a_turn(tmp_path: Path) -> None:
    """Two inputs of one result are told apart, and one network runs at a time."""
    for name in ("a.png", "a.tif"):
        image(noise(1)).write_to_file(str(tmp_path / name))
    claims, turn = Claims(), threading.Lock()
    held: list[bool] = []
    for name in ("a.png", "a.tif"):
        request = Request(source=tmp_path / name, target=str(tmp_path / "out") + "/", ext="png")
        with_both = {"upscaler": Nearest(), "claims": claims, "turn": turn}
        if name == "a.png":
            run(request, progress=lambda _: held.append(turn.locked()), **with_both)
            continue
        with pytest.raises(OutputError, match=r"a\.png"):
            run(request, **with_both)
    assert held
    assert all(held)
    assert not turn.locked()
