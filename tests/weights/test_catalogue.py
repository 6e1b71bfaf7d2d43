"""The list of other people's models: what is read of it, and what is found in it."""

from __future__ import annotations

import json

import pytest

from fourfold.errors import DownloadError, ModelNotFound
from fourfold.weights.catalogue import catalogue, find_entry, read_entries, search

FACTS = {
    "name": "Tiny",
    "author": ["ann", "bob"],
    "license": "CC-BY-NC-4.0",
    "architecture": "compact",
    "scale": 2,
    "date": "2024-01-02",
    "tags": ["photo"],
    "resources": [{"type": "pth", "size": 3, "sha256": "A" * 64, "urls": ["https://a.example/x"]}],
}


def test_the_snapshot_holds_facts_and_no_prose():
    entries = catalogue()
    assert len(entries) == 671
    assert {entry.scale for entry in entries} <= set(range(1, 17))
    assert all(entry.offers for entry in entries)
    assert max(len(entry.name) for entry in entries) < 100


def test_search_by_words_architecture_licence_and_scale():
    entries = catalogue()
    spans = search(entries, arch="SPAN", scale=2, license="commercial")
    assert spans
    assert {(e.architecture, e.scale, e.restriction) for e in spans} == {("span", 2, None)}
    assert [e.date for e in spans] == sorted((e.date for e in spans), reverse=True)
    assert all("anime" in e.tags for e in search(entries, "ANIME kim2091") if "anime" not in e.id)
    assert search(entries, "nothing has this") == ()
    assert {e.license for e in search(entries, license="none")} == {None}


def test_a_name_is_found_whatever_the_case_and_near_ones_are_named():
    entries = catalogue()
    assert find_entry(entries, "1x-animeundeint-compact").id == "1x-AnimeUndeint-Compact"
    with pytest.raises(ModelNotFound, match="1x-AnimeUndeint-Compact"):
        find_entry(entries, "1x-AnimeUndeint-Compacd")


@pytest.mark.parametrize("form", [{"2x-Tiny": FACTS}, [{**FACTS, "id": "2x-Tiny"}]])
def test_both_forms_of_the_list_are_read(form):
    (entry,) = read_entries(form, source="here")
    assert (entry.id, entry.author, entry.channels) == ("2x-Tiny", ("ann", "bob"), (3, 3))
    assert entry.offers[0].sha256 == "a" * 64
    assert "forbids commercial use" in entry.restriction


@pytest.mark.parametrize(
    "broken",
    [
        {"../../x": FACTS},
        {".hidden": FACTS},
        {"a": {**FACTS, "scale": 99}},
        {"a": {**FACTS, "resources": 7}},
        {"a": {**FACTS, "scale": "two"}},
        {"a": 5},
    ],
)
def test_what_cannot_be_used_is_left_out(broken):
    assert read_entries({**broken, "b": FACTS}, source="here")[0].id == "b"
    assert len(read_entries({**broken, "b": FACTS}, source="here")) == 1


def test_only_addresses_of_files_are_followed():
    urls = [
        "https://drive.google.com/open?id=1",
        "https://mega.nz/#!b",
        "https://u.pcloud.link/x",
        "file:///etc/passwd",
        "ftp://a.example/x",
        "https://github.com/a/b/tree/main/c",
        "https://github.com/a/b/blob/main/c.pth",
        "https://[bad",
        "https://a.example/x.pth",
    ]
    offer = {**FACTS["resources"][0], "urls": urls}
    (entry,) = read_entries({"a": {**FACTS, "resources": [offer]}}, source="here")
    assert entry.offers[0].direct == (
        "https://github.com/a/b/raw/main/c.pth",
        "https://a.example/x.pth",
    )


def test_the_live_list_is_read_when_asked_for(flaky_server):
    server = flaky_server({"models.json": json.dumps({"2x-Tiny": FACTS}).encode()})
    (entry,) = catalogue(live=True, address=f"{server.url}/models.json")
    assert entry.id == "2x-Tiny"


@pytest.mark.parametrize("content", [b"<html>", b"7", b"[" * 99999, b"\xff"])
def test_a_live_list_that_is_none_is_one_line(flaky_server, content):
    server = flaky_server({"models.json": content})
    with pytest.raises(DownloadError, match="without --live") as caught:
        catalogue(live=True, address=f"{server.url}/models.json")
    assert "\n" not in str(caught.value)


def test_no_live_list_is_one_line(flaky_server):
    server = flaky_server({})
    with pytest.raises(DownloadError, match="HTTP 404"):
        catalogue(live=True, address=f"{server.url}/models.json")


@pytest.mark.parametrize(
    "odd",
    [
        {"scale": float("inf")},
        {"scale": None},
        {"scale": [2]},
        {"author": 7},
        {"resources": {"a": 1}},
        {"resources": 7},
        {"resources": [{"type": "pth", "size": float("inf"), "sha256": "a" * 64}]},
        {"resources": [{"type": "pth", "size": "much", "sha256": "a" * 64}]},
        {"resources": [None]},
        {"tags": 7},
        {"inputChannels": float("nan")},
    ],
)
def test_facts_of_odd_types_are_left_out(odd):
    values = {"good": FACTS, "bad": {**FACTS, **odd}}
    assert [entry.id for entry in read_entries(values, source="x")] == ["good"]


@pytest.mark.parametrize("url", ["http://a:port/x", "http://[x/y", "javascript:x", "", "//a/b"])
def test_what_is_no_address_is_never_asked_for(url):
    (entry,) = read_entries(
        {"odd": {**FACTS, "resources": [{**FACTS["resources"][0], "urls": [url]}]}}, source="x"
    )
    assert entry.offers[0].direct == ()
