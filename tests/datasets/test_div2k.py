"""DIV2K from a local server that drops connections: resumed, checked, unpacked, verified."""

from __future__ import annotations

import hashlib
import io
import zipfile

import numpy as np
import pytest

from fourfold.cli.main import run
from fourfold.datasets import div2k
from fourfold.errors import DataError, DownloadError, UsageError
from fourfold.files.download import Download
from fourfold.pictures.images import write_pixels


@pytest.fixture
def site(tmp_path, rng):
    """Zip files as DIV2K has them, two pictures each, by name."""
    files = {}
    for half, first in (("train", 1), ("valid", 801)):
        for kind, side in (("HR", 48), ("LR_bicubic/X4", 12)):
            buffer = io.BytesIO()
            with zipfile.ZipFile(buffer, "w") as archive:
                for number in (first, first + 1):
                    suffix = "" if kind == "HR" else "x4"
                    name = f"DIV2K_{half}_{kind}/{number:04}{suffix}.png"
                    path = tmp_path / "made.png"
                    write_pixels(rng.integers(0, 256, (side, side, 3), dtype=np.uint8), path)
                    archive.writestr(name, path.read_bytes())
            files[f"DIV2K_{half}_{kind.replace('/', '_')}.zip"] = buffer.getvalue()
    return files


def wanted(site, url):
    return [
        div2k.Archive(
            name.removesuffix(".zip"),
            Download(
                f"{url}/{name}", size=len(content), sha256=hashlib.sha256(content).hexdigest()
            ),
        )
        for name, content in site.items()
    ]


def test_prepare_survives_dropped_connections(site, flaky_server, tmp_path):
    server = flaky_server(site, drop_after=3000)
    folder = tmp_path / "div2k"
    div2k.prepare(folder, wanted(site, server.url))
    assert div2k.verify(folder, pictures={"train": 2, "valid": 2}) == 4
    assert server.dropped > 4
    assert not list(folder.glob("*.zip*"))


def test_prepare_again_fetches_nothing(site, flaky_server, tmp_path):
    server = flaky_server(site)
    folder = tmp_path / "div2k"
    div2k.prepare(folder, wanted(site, server.url))
    before = server.requests
    div2k.prepare(folder, wanted(site, server.url))
    assert server.requests == before


def test_a_wrong_checksum_is_refused(site, flaky_server, tmp_path):
    server = flaky_server(site)
    archives = wanted(site, server.url)
    bad = Download(archives[0].download.url, sha256="0" * 64)
    with pytest.raises(DownloadError, match=r"want sha256 0+, got \w+; the download was thrown"):
        div2k.prepare(tmp_path / "div2k", [div2k.Archive(archives[0].name, bad)])
    assert not list((tmp_path / "div2k").iterdir())


def test_an_archive_that_reaches_outside_is_refused(flaky_server, tmp_path):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("../evil.png", b"x")
    server = flaky_server({"a.zip": buffer.getvalue()})
    archive = div2k.Archive("a", Download(f"{server.url}/a.zip"))
    with pytest.raises(DataError, match="lies outside"):
        div2k.prepare(tmp_path / "in", [archive])
    assert not (tmp_path / "evil.png").exists()


def test_verify_names_what_is_missing(site, flaky_server, tmp_path):
    folder = tmp_path / "div2k"
    div2k.prepare(folder, wanted(site, flaky_server(site).url))
    with pytest.raises(DataError, match="train: want 3 pictures, found 2"):
        div2k.verify(folder, pictures={"train": 3, "valid": 2})
    (folder / "DIV2K_valid_LR_bicubic" / "X4" / "0802x4.png").unlink()
    with pytest.raises(DataError, match=r"0802\.png: no low-resolution partner"):
        div2k.verify(folder, pictures={"train": 2, "valid": 2})


def test_the_archives_of_each_track():
    names = [archive.name for archive in div2k.archives()]
    assert names == [
        "DIV2K_train_HR",
        "DIV2K_valid_HR",
        "DIV2K_train_LR_bicubic_X4",
        "DIV2K_valid_LR_bicubic_X4",
    ]
    assert [a.name for a in div2k.archives(scale=8)][2:] == [
        "DIV2K_train_LR_x8",
        "DIV2K_valid_LR_x8",
    ]
    for track in div2k.TRACKS:
        assert len(div2k.archives(track=track, scale=4)) == 4
    with pytest.raises(UsageError, match="track mild has"):
        div2k.archives(track="mild", scale=2)
    with pytest.raises(UsageError, match="--track blurred: want one of bicubic"):
        div2k.archives(track="blurred")


def test_command_prepares(site, flaky_server, tmp_path, monkeypatch, capsys):
    server = flaky_server(site)
    checked = {
        name.removesuffix(".zip"): (len(content), hashlib.sha256(content).hexdigest())
        for name, content in site.items()
    }
    monkeypatch.setattr(div2k, "ARCHIVES", checked)
    monkeypatch.setattr(div2k, "verify", lambda *_, **__: 4)
    folder = tmp_path / "div2k"
    line = ["data", "prepare", "div2k", "--dir", str(folder), "--mirror", server.url]
    assert run(line) == 0
    assert "4 pairs" in capsys.readouterr().out


def test_command_checks_a_folder(tmp_path, capsys):
    write_pixels(np.zeros((100, 120, 3), np.uint8), tmp_path / "a.png")
    assert run(["data", "check", str(tmp_path)]) == 0
    assert "1 pictures, low resolution will be made" in capsys.readouterr().out
    write_pixels(np.zeros((50, 120, 3), np.uint8), tmp_path / "b.png")
    assert run(["data", "check", str(tmp_path)]) == 1
    assert "b.png: 120x50, smaller than the crop of 96" in capsys.readouterr().err
