"""Downloads: resumed, checked, and never there half."""

from __future__ import annotations

import hashlib

import pytest

from fourfold.errors import DownloadError
from fourfold.files.download import Download, fetch

CONTENT = bytes(range(256)) * 40


def described(url, **changes):
    known = {"size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    return Download(f"{url}/file", **{**known, **changes})


def test_fetches_whole(flaky_server, tmp_path):
    seen = []
    server = flaky_server({"file": CONTENT})
    path = fetch(described(server.url), tmp_path / "a", progress=lambda *n: seen.append(n))
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize("known", [{}, {"size": None}])
def test_goes_on_after_each_drop(flaky_server, tmp_path, known):
    server = flaky_server({"file": CONTENT}, drop_after=999)
    assert fetch(described(server.url, **known), tmp_path / "a").read_bytes() == CONTENT
    assert server.dropped == len(CONTENT) // 999


def test_goes_on_from_what_an_earlier_call_left(flaky_server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT[:5000])
    server = flaky_server({"file": CONTENT})
    assert fetch(described(server.url), tmp_path / "a").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_anew(flaky_server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT[:5000])
    server = flaky_server({"file": CONTENT}, ranges=False)
    assert fetch(described(server.url), tmp_path / "a").read_bytes() == CONTENT


def test_waits_for_a_busy_server(flaky_server, tmp_path):
    server = flaky_server({"file": CONTENT}, fail_first=2)
    assert fetch(described(server.url), tmp_path / "a", pause=0.01).is_file()


def test_gives_up_where_nothing_comes(flaky_server, tmp_path):
    server = flaky_server({"file": CONTENT}, fail_first=99)
    with pytest.raises(DownloadError, match=r"503 .*3 times without a new byte"):
        fetch(described(server.url), tmp_path / "a", attempts=3, pause=0.01)


def test_a_missing_file_is_said_at_once(flaky_server, tmp_path):
    with pytest.raises(DownloadError, match="HTTP 404"):
        fetch(described(flaky_server({}).url), tmp_path / "a")


def test_nobody_there_is_an_error(flaky_server, tmp_path):
    server = flaky_server({})
    server.close()
    with pytest.raises(DownloadError, match="refused"):
        fetch(described(server.url), tmp_path / "a", attempts=2, pause=0.01)
    server._server, server.close = None, lambda: None


@pytest.mark.parametrize("wrong", [{"size": 7}, {"sha256": "0" * 64}, {"md5": "0" * 32}])
def test_content_of_another_kind_is_thrown_away(flaky_server, tmp_path, wrong):
    with pytest.raises(DownloadError, match="thrown away"):
        fetch(described(flaky_server({"file": CONTENT}).url, **wrong), tmp_path / "a")
    assert not list(tmp_path.iterdir())


def test_a_whole_file_is_not_fetched_again(flaky_server, tmp_path):
    server = flaky_server({"file": CONTENT})
    fetch(described(server.url), tmp_path / "a")
    fetch(described(server.url), tmp_path / "a")
    assert server.requests == 1


def test_another_part_than_asked_for_is_thrown_away(flaky_server, tmp_path):
    (tmp_path / "a.part").write_bytes(CONTENT[:5000])
    server = flaky_server({"file": CONTENT}, headers={"Content-Range": "bytes 0-10239/10240"})
    with pytest.raises(DownloadError, match=r"want the bytes from 5000 on, got bytes 0-10239"):
        fetch(described(server.url), tmp_path / "a")
    assert not list(tmp_path.iterdir())
    server.headers = {"Content-Range": "bytes 5000-10239/10240"}
    (tmp_path / "a.part").write_bytes(CONTENT[:5000])
    assert fetch(described(server.url), tmp_path / "a").read_bytes() == CONTENT


def test_redirects_are_followed_and_a_loop_is_left(flaky_server, tmp_path):
    loop = {"/file": "/other", "/other": "/file"}
    with pytest.raises(DownloadError, match=r"HTTP 302 .*infinite loop") as caught:
        fetch(described(flaky_server({}, redirects=loop).url), tmp_path / "a")
    assert "\\n" not in str(caught.value)
    server = flaky_server({"there": CONTENT}, redirects={"/file": "/there"})
    assert fetch(described(server.url), tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["file:///etc/passwd", "data:,x"])
def test_a_redirect_away_from_the_network_is_not_followed(flaky_server, tmp_path, address):
    with pytest.raises(DownloadError, match="HTTP 302"):
        fetch(described(flaky_server({}, redirects={"/file": address}).url), tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("length", ["", "10240", "many", "-1"])
def test_more_than_was_promised_is_not_kept(flaky_server, tmp_path, length):
    server = flaky_server({"file": CONTENT}, headers={"Content-Length": length}, more=b"x" * 999)
    if length == "10240":  # what follows the announced bytes is never read
        assert fetch(described(server.url), tmp_path / "a").read_bytes() == CONTENT
        return
    with pytest.raises(DownloadError, match="want at most 10240 bytes, got more"):
        fetch(described(server.url), tmp_path / "a")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("url", ["http://127.0.0.1:port", "nowhere", "http://a..b", "http://a b"])
def test_what_is_no_address_is_said_at_once(tmp_path, url):
    with pytest.raises(DownloadError, match="no address to fetch from"):
        fetch(described(url), tmp_path / "a")
