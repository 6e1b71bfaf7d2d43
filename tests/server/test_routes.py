"""The interface: from a picture to its result, and what is said on the way."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
import zipfile
from http.client import HTTPConnection

import anyio
import pytest

from fourfold import upscale_bytes
from fourfold.jobs.engines import Engines
from fourfold.server.archive import unique_names
from fourfold.server.store import Job, Store
from tests.made_films import make_film
from tests.made_pictures import image
from tests.made_services import Slow, SlowFrames, png, serving

pytestmark = pytest.mark.timeout(120)


def test_a_picture_comes_back_as_the_command_line_writes_it(client, upscaler) -> None:
    posted = client.send_file(png(), "my cat.png", scale=3)
    assert posted.status_code == 202
    job = posted.json()
    assert posted.headers["location"] == f"/v1/jobs/{job['id']}"
    assert posted.headers["retry-after"] == "2"
    assert (job["state"] in ("queued", "running"), job["progress"]) == (True, 0)
    told = client.ended(job["id"])
    assert (told["state"], told["progress"], told["reason"]) == ("done", 1, None)
    assert (told["width"], told["height"], told["model"]) == (51, 36, "tiny")
    assert told["result"] == "my cat_x3.png"
    result = client.get(f"/v1/jobs/{job['id']}/result")
    assert result.content == upscale_bytes(png(), scale=3, upscaler=upscaler)
    assert result.headers["content-type"] == "image/png"
    assert "my%20cat_x3.png" in result.headers["content-disposition"]
    assert client.get(f"/v1/jobs/{job['id']}/input").content == png()
    assert [j["id"] for j in client.get("/v1/jobs").json()["jobs"]] == [job["id"]]


def test_a_range_of_a_result_can_be_had(client) -> None:
    job = client.send_file(png()).json()["id"]
    client.ended(job)
    whole = client.get(f"/v1/jobs/{job}/result").content
    part = client.get(f"/v1/jobs/{job}/result", headers={"Range": "bytes=4-9"})
    assert (part.status_code, part.content) == (206, whole[4:10])
    for value in ("bytes=99999999-", f"bytes={len(whole)}-", "bytes=-0"):
        behind = client.get(f"/v1/jobs/{job}/result", headers={"Range": value})
        assert (behind.status_code, behind.json()["status"]) == (416, 416)
    backwards = client.get(f"/v1/jobs/{job}/result", headers={"Range": "bytes=9-1"})
    assert (backwards.status_code, backwards.content) == (200, whole)


def test_what_is_no_picture_fails_in_the_words_of_the_command_line(client) -> None:
    job = client.send_file(b"Dear diary", "diary.png").json()["id"]
    told = client.ended(job)
    assert told["state"] == "failed"
    assert told["reason"] == (
        "diary.png: not a readable picture (its content is no picture format known here)"
    )
    refused = client.get(f"/v1/jobs/{job}/result")
    assert (refused.status_code, refused.headers["content-type"]) == (
        409,
        "application/problem+json",
    )
    assert "diary.png" in refused.json()["detail"]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"scale": 99}, "scale: want a number from 1 to 16, got 99"),
        ({"scal": 2}, "unknown option 'scal'; did you mean 'scale'?"),
        ({"model": "/etc/passwd"}, "model: want auto, srgan-x4, srresnet-x4, "),
        ({"target": "/tmp/x"}, "unknown option 'target'"),
        ({"max_pixels": 10**12}, "unknown option 'max_pixels'"),
        ({"scale": 2, "fit": "4k"}, "want one of them, got both"),
        ({"texture": "much"}, "texture: want"),
    ],
)
def test_wrong_options_are_refused_at_once(client, options, says) -> None:
    answer = client.send_file(png(), **options)
    assert answer.status_code == 400
    assert says in answer.json()["detail"]
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_a_key_that_is_used_again_makes_no_second_job(client) -> None:
    key = {"Idempotency-Key": "one"}
    first = client.send_file(png(), headers=key)
    again = client.send_file(png(), headers=key)
    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert client.send_file(png(seed=1), headers=key).status_code == 422
    assert client.send_file(png(), headers=key, scale=2).status_code == 422
    assert len(client.get("/v1/jobs").json()["jobs"]) == 1
    client.ended(first.json()["id"])


def test_deleting_cancels_within_a_second_and_forgets(serve, tmp_path) -> None:
    client = serve(engines=Engines(Slow()), workers=1)
    running, waiting = (client.send_file(png(seed=i)).json()["id"] for i in range(2))
    wait_until(lambda: client.get(f"/v1/jobs/{running}").json()["progress"] > 0)
    told = client.get(f"/v1/jobs/{running}").json()
    assert (told["state"], client.get(f"/v1/jobs/{waiting}").json()["state"]) == (
        "running",
        "queued",
    )
    assert client.get(f"/v1/jobs/{running}/result").status_code == 409
    assert client.delete(f"/v1/jobs/{waiting}").status_code == 204
    assert client.delete(f"/v1/jobs/{running}").status_code == 204
    for job in (running, waiting):
        assert client.get(f"/v1/jobs/{job}").status_code == 404
    assert client.get("/v1/jobs").json()["jobs"] == []
    wait_until(lambda: not list((tmp_path / "data" / "jobs").iterdir()))


def wait_until(true, *, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_full_queue_and_a_full_disk_say_so(serve) -> None:
    client = serve(engines=Engines(Slow()), workers=1, max_waiting=1, max_upload=5000)
    for seed in range(2):
        assert client.send_file(png(seed=seed)).status_code == 202
        wait_until(lambda: client.get("/metrics").text.count('state="running"} 1.0'))
    full = client.send_file(png(seed=3))
    assert (full.status_code, full.headers["retry-after"]) == (429, "30")


def test_storage_has_an_end(serve) -> None:
    client = serve(max_stored=1000)
    job = client.send_file(png()).json()["id"]
    client.ended(job)
    assert client.send_file(png(seed=1)).status_code == 507
    client.delete(f"/v1/jobs/{job}")
    assert client.send_file(png(seed=1)).status_code == 202


def test_jobs_expire(serve) -> None:
    client = serve(keep_hours=1e-6)
    job = client.send_file(png()).json()["id"]
    client.ended(job)
    wait_until(
        lambda: client.app.state.service.expire() or not client.get("/v1/jobs").json()["jobs"]
    )
    assert client.get(f"/v1/jobs/{job}/result").status_code == 404


def test_estimates_by_file_and_by_size_agree(client) -> None:
    form = {"files": {"file": ("a.png", png())}, "data": {"options": '{"scale": 2, "ext": "jpg"}'}}
    made = client.post("/v1/estimate", **form).json()
    assert (made["width"], made["height"], made["model"]) == (34, 24, "tiny")
    assert made["megapixels_per_second"] > 0
    by_size = client.post(
        "/v1/estimate", json={"width": 17, "height": 12, "options": {"scale": 2}}
    ).json()
    assert (by_size["width"], by_size["height"]) == (34, 24)
    huge = client.post("/v1/estimate", json={"width": 99999, "height": 99999})
    assert (huge.status_code, "more than --max-pixels" in huge.json()["detail"]) == (422, True)
    assert client.post("/v1/estimate", json={"width": "9"}).status_code == 400
    bad = client.post("/v1/estimate", files={"file": ("b.png", b"none")})
    assert bad.json()["detail"].startswith("b.png: not a readable picture")


def test_a_crop_is_enlarged_at_once_and_leaves_nothing(client, upscaler, tmp_path) -> None:
    made = client.post("/v1/preview", files={"file": ("a.png", png())})
    for ext, status in (("webp", 200), ("", 400)):
        asked = {"options": f'{{"ext": "{ext}"}}'}
        answer = client.post("/v1/preview", files={"file": ("a.png", png())}, data=asked)
        assert answer.status_code == status, ext
        assert status != 200 or answer.headers["content-type"] == "image/png"
    assert (made.status_code, made.headers["content-type"]) == (200, "image/png")
    assert made.content == upscale_bytes(png(), upscaler=upscaler)
    large = client.post("/v1/preview", files={"file": ("a.png", png(300, 300))})
    assert large.status_code == 422
    assert client.get("/v1/jobs").json()["jobs"] == []
    assert list((tmp_path / "data" / "jobs").iterdir()) == []


def test_views_are_small_and_of_both(client) -> None:
    job = client.send_file(png(40, 300), "wide.png").json()["id"]
    client.ended(job)
    for of in ("input", "result"):
        view = client.get(f"/v1/jobs/{job}/preview", params={"of": of, "side": "160"})
        assert (view.status_code, view.headers["content-type"]) == (200, "image/webp")
    assert client.get(f"/v1/jobs/{job}/preview", params={"side": "1000000"}).status_code == 422


def test_results_come_as_one_archive(client) -> None:
    jobs = [client.send_file(png(seed=i), "a.png").json()["id"] for i in range(3)]
    results = [client.ended(job) and client.get(f"/v1/jobs/{job}/result").content for job in jobs]
    answer = client.get("/v1/results.zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == ["a_x4.png", "a_x4 (2).png", "a_x4 (3).png"]
        assert [archive.read(name) for name in archive.namelist()] == results
    some = client.get("/v1/results.zip", params={"id": jobs[1]})
    assert zipfile.ZipFile(io.BytesIO(some.content)).read("a_x4.png") == results[1]
    assert client.get("/v1/results.zip", params={"id": "none"}).status_code == 404


def test_names_in_an_archive_differ_whatever_their_case() -> None:
    assert unique_names(["a", "a (2)", "A", "a"]) == ["a", "a (2)", "A (3)", "a (4)"]


def test_events_tell_every_job_until_it_ends_and_go_on_after_one(client) -> None:
    job = client.send_file(png()).json()["id"]
    client.ended(job)
    events = parsed(client.get(f"/v1/jobs/{job}/events").text)
    assert events[-1]["event"] == "job"
    assert json.loads(events[-1]["data"])["state"] == "done"
    after = client.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": events[-1]["id"]})
    assert parsed(after.text) == []
    odd = client.get(f"/v1/jobs/{job}/events", headers={"Last-Event-ID": "99; DROP"})
    assert len(parsed(odd.text)) == 1


def parsed(stream: str) -> list[dict[str, str]]:
    blocks = [block for block in stream.split("\n\n") if "data:" in block]
    return [dict(line.split(": ", 1) for line in block.splitlines()) for block in blocks]


def test_a_picture_passes_a_film(serve, tmp_path) -> None:
    pytest.importorskip("av")
    client = serve(engines=Engines(SlowFrames()))
    film = make_film(tmp_path / "in.mp4").read_bytes()
    first, second = (client.send_file(film, "film.mp4").json() for _ in range(2))
    assert first["kind"] == "film"
    wait_until(lambda: client.get(f"/v1/jobs/{first['id']}").json()["progress"] > 0)
    picture = client.send_file(png()).json()["id"]
    assert client.ended(picture)["state"] == "done"
    assert client.get(f"/v1/jobs/{second['id']}").json()["state"] == "queued"
    client.delete(f"/v1/jobs/{second['id']}")
    told = client.ended(first["id"])
    assert (told["state"], told["result"], told["frames"]) == ("done", "film_x4.mp4", 12)
    result = client.get(f"/v1/jobs/{first['id']}/result")
    assert result.headers["content-type"] == "video/mp4"
    assert client.get(f"/v1/jobs/{first['id']}/preview").status_code == 404


def test_models_health_figures_and_the_interface(client) -> None:
    assert client.get("/healthz").json()["status"] == "ok"
    models = client.get("/v1/models").json()
    assert {"srgan-x4", "srresnet-x4"} <= {m["name"] for m in models["models"]}
    assert models["auto"]["film"]["why"]
    client.ended(client.send_file(png()).json()["id"])
    figures = client.get("/metrics").text
    assert 'fourfold_jobs_ended_total{state="done"} 1.0' in figures
    assert 'fourfold_jobs{state="done"} 1.0' in figures
    paths = client.get("/openapi.json").json()["paths"]
    assert {"/v1/jobs", "/v1/jobs/{id}/events", "/v1/estimate", "/healthz"} <= set(paths)
    assert client.get("/docs").status_code == 404


def test_an_unknown_job_is_a_problem(client) -> None:
    for path in ("", "/events", "/result", "/input", "/preview"):
        answer = client.get(f"/v1/jobs/..%2f..%2fetc{path}")
        assert (answer.status_code, answer.json()["status"]) == (404, 404)
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_network_of_its_own_serves_each_texture(serve) -> None:
    client = serve(engines=Engines(most=1))
    jobs = [client.send_file(png(), texture=t).json()["id"] for t in (0.0, 1.0)]
    told = [client.ended(job) for job in jobs]
    assert [t["state"] for t in told] == ["done", "done"]
    results = [client.get(f"/v1/jobs/{job}/result").content for job in jobs]
    assert results[0] != results[1]


@pytest.mark.parametrize("strips", [True, False])
def test_a_proxy_may_show_it_under_a_path(serve, strips) -> None:
    client = serve(path="/four", names=("photos.example",), headers={"Host": "photos.example"})
    before = "" if strips else "/four"
    page = {"X-Fourfold": "1"}
    posted = client.post(f"{before}/v1/jobs", files={"file": ("a.png", png())}, headers=page)
    assert posted.headers["location"] == f"/four/v1/jobs/{posted.json()['id']}"
    assert 'src="page/main.js"' in client.get(f"{before}/").text
    assert (
        client.get(f"{before}/page/main.js").headers["content-type"].startswith("text/javascript")
    )


def test_a_damaged_picture_gets_the_model_for_photographs(serve, draw) -> None:
    data = image(draw(24, 32)).jpegsave_buffer(Q=40)
    client = serve(engines=Engines(most=2))
    told = client.ended(client.send_file(data, "a.jpg").json()["id"])
    assert (told["model"], told["why"]) == ("srgan-photo-x4", "JPEG of quality 40")
    told = client.ended(client.send_file(data, "b.jpg", denoise=0).json()["id"])
    assert told["model"] == "srgan-photo-clean-x4"


def test_health_is_told_while_every_thread_is_taken(client) -> None:
    taken, free = threading.Event(), threading.Event()
    late = threading.Timer(20, free.set)

    def hold() -> None:
        taken.set()
        free.wait(60)

    async def take_all() -> None:
        anyio.to_thread.current_default_thread_limiter().total_tokens = 1
        await anyio.to_thread.run_sync(hold)

    try:
        client.portal.start_task_soon(take_all)
        assert taken.wait(20)
        late.start()
        assert client.get("/healthz").status_code == 200
        assert not free.is_set()
    finally:
        late.cancel()
        free.set()


def test_who_waits_for_a_place_is_told_to_come_again(serve) -> None:
    client = serve(patience=0.2, previews=1)
    form = {"files": {"file": ("a.png", png())}}
    sizes = {"content": b'{"width": 9, "height": 9}'}
    sizes["headers"] = {"Content-Type": "application/json"}
    service = client.app.state.service
    for places, path, sent in (
        (service.previews, "/v1/preview", form),
        (service.views, "/v1/estimate", sizes),
    ):
        client.portal.call(places.acquire)
        refused = client.post(path, **sent)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
        places.release()
        assert client.post(path, **sent).status_code == 200


def test_answers_on_one_connection_do_not_wait_for_each_other(tmp_path) -> None:
    """Without TCP_NODELAY the second part of an answer waits for the client's confirmation."""
    with serving(tmp_path) as (server, port):
        connection = HTTPConnection("127.0.0.1", port, timeout=30)
        connection.request("GET", "/healthz")
        connection.getresponse().read()
        (protocol,) = server.server_state.connections
        accepted = protocol.transport.get_extra_info("socket")
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) != 0
        connection.close()


def test_only_what_must_outlive_a_power_cut_waits_for_the_disk(tmp_path) -> None:
    store = Store(tmp_path / "jobs.sqlite")
    said: list[str] = []
    store._base.set_trace_callback(said.append)
    job = {"owner": "", "sha256": "", "name": "a.png", "suffix": ".png", "bytes": 1}
    for call in (
        lambda: store.add(Job(id="x", film=False, options={}, **job)),
        lambda: store.take(film=False),
        lambda: store.update("x", state="done"),
        lambda: store.remove("x"),
    ):
        call()
    store.close()
    modes = [line.partition("=")[2] for line in said if line.startswith("PRAGMA")]
    assert modes == ["FULL", "NORMAL", "NORMAL", "FULL"]
