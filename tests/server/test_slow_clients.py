"""Clients that take their time, or never end: what they hold is given up."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection

import pytest

pytest.importorskip("fastapi")

from tests.made_services import PAGE, serving

pytestmark = pytest.mark.timeout(120)

FORM = {"Content-Type": "multipart/form-data; boundary=b"}
START = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\nabc'
JSON = {"Content-Type": "application/json"}


@contextmanager
def sent(port: int, path: str, body: bytes, headers: dict[str, str]) -> Iterator[socket.socket]:
    """A POST that has begun: its head says that more comes than has been sent."""
    head = {"Host": "localhost", **PAGE, **headers, "Content-Length": "100000"}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        yield connection


@pytest.mark.parametrize(
    ("path", "body", "headers"),
    [
        ("/v1/jobs", START, FORM),
        ("/v1/estimate", START, FORM),
        ("/v1/preview", START, FORM),
        ("/v1/estimate", b'{"width": ', JSON),
    ],
)
def test_a_body_that_stalls_is_given_up(tmp_path, path, body, headers) -> None:
    with serving(tmp_path, patience=0.3) as (_, port):
        with sent(port, path, body, headers) as connection:
            assert connection.recv(100).startswith(b"HTTP/1.1 408 ")
        assert list((tmp_path / "data" / "jobs").iterdir()) == []


def test_a_body_that_comes_drop_by_drop_is_given_up(tmp_path) -> None:
    settings = {"grace": 0.3, "least_rate": 10_000, "patience": 0.5}
    with serving(tmp_path, **settings) as (_, port):
        with sent(port, "/v1/jobs", START, FORM) as connection:
            assert dripped(connection, b"x").startswith(b"HTTP/1.1 408 ")
        assert list((tmp_path / "data" / "jobs").iterdir()) == []


def test_the_rest_of_a_body_that_is_refused_is_not_waited_for(tmp_path) -> None:
    with serving(tmp_path, patience=0.5) as (_, port):
        refused = {**FORM, "Origin": "https://evil.example"}
        with sent(port, "/v1/jobs", START, refused) as connection:
            assert dripped(connection, b"x").startswith(b"HTTP/1.1 403 ")


def test_a_body_that_breaks_off_leaves_nothing(tmp_path) -> None:
    with serving(tmp_path) as (_, port):
        with sent(port, "/v1/jobs", START, FORM):
            pass
        deadline = time.monotonic() + 60
        while list((tmp_path / "data" / "jobs").iterdir()):
            assert time.monotonic() < deadline
            time.sleep(0.02)


@pytest.mark.parametrize("earlier", [b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"])
@pytest.mark.parametrize("drop", [b"", b"X-A: b\r\n"])
def test_a_head_that_never_ends_is_not_waited_for(tmp_path, earlier, drop) -> None:
    """Slowloris: many connections, each with a request that is always about to come."""
    with serving(tmp_path, patience=0.5) as (server, port):
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(earlier)
            if earlier:
                assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
            assert b"HTTP/1.1 200" not in dripped(connection, drop)
        deadline = time.monotonic() + 60
        while server.server_state.connections:
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_a_quick_request_after_others_is_not_taken_for_a_slow_one(tmp_path) -> None:
    with serving(tmp_path, patience=0.5) as (_, port):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        for _ in range(4):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            kept = connection.sock
            time.sleep(0.2)
        assert connection.sock is kept
        connection.close()


def dripped(connection: socket.socket, drop: bytes) -> bytes:
    """What comes back, until the other side closes, while `drop` is sent again and again."""
    connection.settimeout(0.05)
    got, deadline = b"", time.monotonic() + 60
    while time.monotonic() < deadline:
        with suppress(OSError):
            connection.sendall(drop)
        try:
            new = connection.recv(1000)
        except TimeoutError:
            continue
        except OSError:
            return got
        if not new:
            return got
        got += new
    raise AssertionError("it was never closed")
