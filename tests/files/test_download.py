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
