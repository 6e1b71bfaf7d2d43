"""Each attack on a service of one's own machine, tried."""

from __future__ import annotations

import asyncio
import io
import json
import struct
import time
import zipfile
import zlib

import pytest

from fourfold.errors import UsageError
from fourfold.server.app import create_app
from fourfold.server.folder import display_name
from fourfold.server.settings import Settings
from tests.made_services import PAGE, png

pytestmark = pytest.mark.timeout(120)

BEARER = {"Authorization": "Bearer of-the-first"}
OTHER = {"Authorization": "Bearer of-the-second"}
TOKENS = ("of-the-first", "of-the-second")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "[::1", "10.0.0.1:80"],
)
def test_a_foreign_host_is_refused(client, host) -> None:
    """DNS rebinding: the page of evil.example, whose name now means 127.0.0.1."""
    for path in ("/", "/v1/jobs", "/healthz"):
        answer = client.get(path, headers={"Host": host})
        assert (answer.status_code, answer.json()["title"]) == (403, "Forbidden")


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8440", "127.0.0.1:1", "[::1]:8440", "LOCALHOST"]
)
def test_its_own_names_are_taken(client, host) -> None:
    assert client.get("/healthz", headers={"Host": host}).status_code == 200


def test_a_proxys_name_is_taken_when_it_is_told(serve) -> None:
    client = serve(names=("photos.example",))
    assert client.get("/healthz", headers={"Host": "photos.example"}).status_code == 200


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "http://localhost:3000", "file://"]
)
def test_a_foreign_origin_is_refused(client, origin) -> None:
    answer = client.send_file(png(), headers={"Origin": origin})
    assert answer.status_code == 403
    own = client.send_file(png(), headers={"Origin": "http://localhost"})
    assert own.status_code == 202


@pytest.mark.parametrize("site", ["cross-site", "same-site", "other"])
def test_requests_of_other_sites_are_refused(client, site) -> None:
    for path in ("/v1/jobs", "/v1/models", "/"):
        assert client.get(path, headers={"Sec-Fetch-Site": site}).status_code == 403


def test_forms_of_other_sites_are_refused(serve) -> None:
    """Forms need no permission (CORS) to be sent; only a header of its own tells the page."""
    client = serve(headers={})
    for answer in (
        client.post("/v1/jobs", files={"file": ("a.png", png())}),
        client.post("/v1/jobs", content=b"{}", headers={"Content-Type": "text/plain"}),
        client.post("/v1/estimate", content=b"{}", headers={"Content-Type": "text/plain"}),
        client.post("/v1/preview", files={"file": ("a.png", png())}),
        client.delete("/v1/jobs/x"),
    ):
        assert (answer.status_code, "X-Fourfold" in answer.json()["detail"]) == (403, True)
    assert client.get("/v1/jobs").json()["jobs"] == []


def test_no_other_site_is_ever_given_a_permission(client) -> None:
    answer = client.options(
        "/v1/jobs",
        headers={"Origin": "http://localhost", "Access-Control-Request-Method": "POST"},
    )
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_bodies_that_are_no_form_are_refused(client) -> None:
    for kind in ("text/plain", "application/json", "multipart/form-data", ""):
        answer = client.post("/v1/jobs", content=b"x", headers={"Content-Type": kind})
        assert answer.status_code == 415


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("../../../etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("C:\\x\\a.png", "a.png"),
        ("/etc/cron.d/x.png", "x.png"),
        ("..", "file"),
        (".htaccess", "htaccess"),
        ("a\r\nSet-Cookie: x.png", "a\\r\\nSet-Cookie: x.png"),
        ("\0.png", "png"),
    ],
)
def test_names_that_look_like_paths_stay_names(sent, kept) -> None:
    assert display_name(sent) == kept


def test_names_never_become_paths(client, tmp_path) -> None:
    job = client.send_file(png(), "../../../../evil.png").json()
    assert job["name"] == "evil.png"
    assert client.ended(job["id"])["state"] == "done"
    assert not list(tmp_path.rglob("*evil*"))


def test_a_token_sees_only_its_own_jobs(serve) -> None:
    client = serve(tokens=TOKENS, headers={})
    assert client.get("/v1/jobs").status_code == 401
    assert client.get("/v1/jobs", headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert client.get("/metrics").status_code == 401
    key = {"Idempotency-Key": "k"}
    job = client.send_file(png(), headers={**BEARER, **key}).json()["id"]
    for path in ("", "/result", "/input", "/preview", "/events"):
        assert client.get(f"/v1/jobs/{job}{path}", headers=OTHER).status_code == 404
    assert client.delete(f"/v1/jobs/{job}", headers=OTHER).status_code == 404
    assert client.get("/v1/jobs", headers=OTHER).json()["jobs"] == []
    assert client.get("/v1/results.zip", params={"id": job}, headers=OTHER).status_code == 404
    assert client.send_file(png(), headers={**OTHER, **key}).json()["id"] != job
    assert client.get(f"/v1/jobs/{job}", headers=BEARER).status_code == 200


def test_the_page_is_let_in_by_a_cookie_that_scripts_do_not_see(serve) -> None:
    client = serve(tokens=TOKENS, headers={})
    refused = client.get("/?token=wrong", follow_redirects=False)
    assert (refused.headers["location"], "set-cookie" in refused.headers) == ("./?refused", False)
    let_in = client.get("/?token=of-the-first", follow_redirects=False)
    assert {"HttpOnly", "SameSite=strict"} <= set(let_in.headers["set-cookie"].split("; "))
    assert client.get("/v1/jobs").status_code == 200  # the client keeps the cookie
    assert client.delete("/v1/jobs/x").status_code == 403  # which is not enough for a change
    assert client.delete("/v1/jobs/x", headers=PAGE).status_code == 404


def test_other_machines_need_a_token(tmp_path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.2", "example.com"):
        with pytest.raises(UsageError, match="--token"):
            Settings(data=tmp_path, host=host)
    for host in ("127.0.0.1", "::1", "localhost", "127.9.9.9"):
        Settings(data=tmp_path, host=host)
    with pytest.raises(UsageError, match="8 characters"):
        Settings(data=tmp_path, tokens=("short",))
    wide = Settings(data=tmp_path, host="0.0.0.0", tokens=TOKENS)
    assert wide.knows_host("192.168.1.2")
    assert not wide.knows_host("evil.example")


@pytest.mark.parametrize(
    "ranges",
    [
        "bytes=" + ",".join(f"{i}-{i}" for i in range(0, 20000, 2)),
        "bytes=0-,0-,0-,0-",
        "bytes=" + "0" * 5000 + "-",
        "lines=1-2",
        "bytes=-",
        "bytes=9-1",
    ],
)
def test_abuse_of_ranges_costs_nothing(client, ranges) -> None:
    """CVE-2025-62727: many ranges took quadratic time."""
    job = client.send_file(png()).json()["id"]
    client.ended(job)
    answer = client.get(f"/v1/jobs/{job}/result", headers={"Range": ranges})
    assert answer.status_code in (200, 206, 400, 416)
    assert len(answer.content) <= len(client.get(f"/v1/jobs/{job}/result").content) + 100


def test_large_fields_and_files_are_cut_off(serve, tmp_path) -> None:
    """CVE-2024-47874: form fields without a limit filled the memory."""
    client = serve(max_upload=2000)
    field = client.post("/v1/jobs", files={"file": ("a.png", b"")}, data={"options": "x" * 100_000})
    many = client.post(
        "/v1/jobs", files={"file": ("a.png", b"")}, data={f"f{i}": "x" for i in range(50)}
    )
    two = client.post("/v1/jobs", files=[("file", ("a.png", b"1")), ("file", ("b.png", b"2"))])
    large = client.send_file(b"x" * 3000)
    larger = client.send_file(b"x" * 3_000_000)
    answers = (field, many, two, large, larger)
    assert [a.status_code for a in answers] == [413, 400, 400, 413, 413]
    assert list((tmp_path / "data" / "jobs").iterdir()) == []


def bomb(side: int) -> bytes:
    """A PNG of a few kB that says it is `side` pixels wide and high."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    rows = zlib.compress(b"\0" * 1_000_000, 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


def test_bombs_are_refused_before_they_are_decoded(client) -> None:
    job = client.send_file(bomb(60_000), "bomb.png").json()["id"]
    told = client.ended(job)
    assert told["state"] == "failed"
    assert told["reason"].startswith("bomb.png: 60000x60000 makes")
    assert client.get(f"/v1/jobs/{job}/preview?of=input").status_code == 422
    assert client.post("/v1/preview", files={"file": ("b.png", bomb(5000))}).status_code == 422
    assert client.post("/v1/estimate", files={"file": ("b.png", bomb(60_000))}).status_code == 422


def test_archives_are_not_opened(client) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", b"\0" * 10_000_000)
    for name in ("a.zip", "a.png"):
        told = client.ended(client.send_file(packed.getvalue(), name).json()["id"])
        assert (told["state"], told["reason"].startswith(f"{name}: not a")) == ("failed", True)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x.svg", b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'),
        ("x.html", b"<!doctype html><script>alert(1)</script>"),
        ("x.png", b"<!doctype html><script>alert(1)</script>"),
        ("x.mp4", b"<!doctype html><script>alert(1)</script>"),
    ],
)
def test_nothing_that_was_sent_is_shown_as_a_page(client, name, content) -> None:
    job = client.send_file(content, name).json()["id"]
    assert client.ended(job)["state"] == "failed"
    answer = client.get(f"/v1/jobs/{job}/input")
    assert answer.headers["content-type"] in ("application/octet-stream", "video/mp4")
    assert answer.headers["content-disposition"].startswith("attachment")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]


def test_the_page_runs_no_script_but_its_own(client) -> None:
    page = client.get("/")
    policy = dict(
        part.strip().split(" ", 1) for part in page.headers["content-security-policy"].split(";")
    )
    assert (policy["script-src"], policy["default-src"]) == ("'self'", "'none'")
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe" not in page.headers["content-security-policy"]


def test_errors_name_no_path_of_the_machine(client, tmp_path) -> None:
    for name, content in (
        ("a.png", b"no"),
        ("b.mp4", b"no"),
        ("c.tif", b"II*\0"),
        ("d.gif", b"GIF89a"),
    ):
        told = client.ended(client.send_file(content, name).json()["id"])
        assert told["state"] == "failed"
        assert str(tmp_path) not in json.dumps(told)
        assert "input." not in told["reason"]


def test_the_data_folder_is_private_and_has_one_service(client, tmp_path) -> None:
    assert (tmp_path / "data").stat().st_mode & 0o77 == 0
    app = create_app(Settings(data=tmp_path / "data"))

    async def opened() -> None:
        async with app.router.lifespan_context(app):
            pass

    with pytest.raises(UsageError, match="another service works in it"):
        asyncio.run(opened())


def test_addresses_are_not_fetched(client) -> None:
    started = time.monotonic()
    answer = client.send_file(png(), source="http://169.254.169.254/")
    assert (answer.status_code, time.monotonic() - started < 30) == (400, True)


@pytest.mark.parametrize("id_", ["-1", "9" * 5000, "1e9", "\u00b2", "", "0x10", "1 OR 1=1"])
def test_nonsense_as_the_last_event_gets_everything(client, id_) -> None:
    """Numbers of more than 4300 digits are a ValueError in Python."""
    job = client.send_file(png()).json()["id"]
    client.ended(job)
    headers = {"Last-Event-ID": id_.encode("latin-1")}
    answer = client.get(f"/v1/jobs/{job}/events", headers=headers)
    assert (answer.status_code, "event: job" in answer.text) == (200, True)


def test_floods_of_listeners_are_refused(serve) -> None:
    client = serve(streams=0)
    job = client.send_file(png()).json()["id"]
    for path in ("/v1/events", f"/v1/jobs/{job}/events"):
        answer = client.get(path)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert client.app.state.service.streams == 0
