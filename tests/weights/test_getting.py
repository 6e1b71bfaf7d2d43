"""Models are brought whole, checked, once, and only where their licence is understood."""

from __future__ import annotations

import errno
import hashlib
import json
import shutil
import threading
from collections import namedtuple
from pathlib import Path

import pytest

from fourfold.cli.main import run
from fourfold.errors import DownloadError, ModelNotFound, UsageError
from fourfold.weights import catalogue as catalogues
from fourfold.weights.catalogue import read_entries
from fourfold.weights.getting import brought, facts_of, get_model_file
from fourfold.weights.zoo import resolve_model_path

CONTENT = bytes(range(256)) * 40


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FOURFOLD_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def facts(*urls, license="MIT", kind="pth", **changes):
    file = {"type": kind, "size": len(CONTENT), "sha256": hashlib.sha256(CONTENT).hexdigest()}
    return {
        "author": "ann",
        "license": license,
        "architecture": "compact",
        "scale": 2,
        "resources": [{**file, "urls": urls, **changes}],
    }


def entry(*urls, **changes):
    return read_entries({"2x-Tiny": facts(*urls, **changes)}, source="here")[0]


def names(folder: Path):
    return sorted(p.name for p in folder.iterdir()) if folder.is_dir() else []


def test_a_dropped_line_goes_on_and_the_name_works(flaky_server, folder):
    server = flaky_server({"f": CONTENT}, drop_after=999)
    path = get_model_file(entry(f"{server.url}/f"))
    assert path.read_bytes() == CONTENT
    assert names(folder) == ["2x-Tiny.json", "2x-Tiny.pth"]
    assert brought() == {"2x-Tiny": path}
    assert resolve_model_path("2x-Tiny") == path
    assert facts_of(path)["license"] == "MIT"


def test_a_whole_file_is_kept_and_a_changed_one_replaced(flaky_server, folder):
    server = flaky_server({"f": CONTENT})
    path = get_model_file(entry(f"{server.url}/f"))
    get_model_file(entry(f"{server.url}/f"))
    assert server.requests == 1
    path.write_bytes(CONTENT[::-1])
    assert get_model_file(entry(f"{server.url}/f")).read_bytes() == CONTENT
    assert server.requests == 2


@pytest.mark.parametrize("license", ["CC-BY-NC-4.0", "CC-BY-NC-SA-4.0", None])
def test_a_restricted_licence_is_refused_unless_accepted(flaky_server, folder, license):
    server = flaky_server({"f": CONTENT})
    with pytest.raises(UsageError, match="--accept-license"):
        get_model_file(entry(f"{server.url}/f", license=license))
    assert (server.requests, names(folder)) == (0, [])
    get_model_file(entry(f"{server.url}/f", license=license), accept_license=True)
    assert "2x-Tiny.pth" in names(folder)


def test_another_content_leaves_nothing_and_the_next_address_is_tried(flaky_server, folder):
    server = flaky_server({"bad": CONTENT[::-1], "long": CONTENT * 2, "good": CONTENT})
    with pytest.raises(
        DownloadError, match=r"want sha256 .*; .*want at most 10240 bytes"
    ) as caught:
        get_model_file(entry(f"{server.url}/bad", f"{server.url}/long"))
    assert "\n" not in str(caught.value)
    assert names(folder) == []
    get_model_file(entry(f"{server.url}/bad", f"{server.url}/good"))
    assert "2x-Tiny.pth" in names(folder)


def test_addresses_for_browsers_are_named(folder):
    with pytest.raises(DownloadError, match=r"only a browser .*https://mega\.nz/#!b; save it as"):
        get_model_file(entry("https://mega.nz/#!b"))
    assert names(folder) == []


def test_no_network_is_one_line(folder):
    with pytest.raises(DownloadError, match="2 times without a new byte"):
        get_model_file(entry("http://127.0.0.1:9/f"), attempts=2, pause=0.01)
    assert names(folder) == []


def test_no_room_is_said_before(flaky_server, folder, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10, 10, 10))
    server = flaky_server({"f": CONTENT})
    with pytest.raises(DownloadError, match="free disk"):
        get_model_file(entry(f"{server.url}/f"))
    assert (server.requests, names(folder)) == (0, [])


def test_a_disk_that_fills_up_is_left_as_it_was(flaky_server, folder, monkeypatch):
    from fourfold.files import download

    def full(wanted, part, *_):
        part.write_bytes(CONTENT[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download, "_receive", full)
    server = flaky_server({"f": CONTENT})
    with pytest.raises(DownloadError, match="No space left"):
        get_model_file(entry(f"{server.url}/f"))
    assert names(folder) == []


def test_two_at_once_take_turns(flaky_server, folder):
    server = flaky_server({"f": CONTENT}, drop_after=5000)
    wanted, done = entry(f"{server.url}/f"), []
    threads = [
        threading.Thread(target=lambda: done.append(get_model_file(wanted)), daemon=True)
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert [path.read_bytes() == CONTENT for path in done] == [True] * 4
    assert server.requests == 3  # one download in three pieces
    assert names(folder) == ["2x-Tiny.json", "2x-Tiny.pth"]


def test_unknown_names_say_what_is_here(flaky_server):
    server = flaky_server({"f": CONTENT})
    get_model_file(entry(f"{server.url}/f"))
    with pytest.raises(ModelNotFound, match="2x-Tiny"):
        resolve_model_path("2x-Tinny")


def test_the_commands(flaky_server, folder, monkeypatch, capsys):
    server = flaky_server({"f": CONTENT})
    listed = {"2x-Tiny": facts(f"{server.url}/f", license="CC-BY-NC-4.0", kind="onnx")}
    monkeypatch.setattr(catalogues, "LIVE", f"{server.url}/models.json")
    server.files["models.json"] = json.dumps(listed).encode()
    assert run(["models", "search", "tiny", "--live", "--json"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["id"], found["scale"], found["offers"][0]["type"]) == ("2x-Tiny", 2, "onnx")
    assert "forbids" in found["restriction"]
    assert run(["models", "get", "2x-tiny", "--live"]) == 2
    assert capsys.readouterr().err.count("\n") == 1
    assert run(["models", "get", "2x-tiny", "--live", "--accept-license"]) == 0
    assert "licence: CC-BY-NC-4.0 (its licence" in capsys.readouterr().out
    assert run(["models", "search", "tiny", "--live"]) == 0
    assert "here" in capsys.readouterr().out
    assert run(["models", "list"]) == 0
    assert "2x-Tiny" in capsys.readouterr().out
    assert run(["models", "get", "2x-tiny", "--live", "--kind", "ncnn"]) == 2
    assert run(["models", "search", "--arch", "span", "--scale", "0"]) == 2
