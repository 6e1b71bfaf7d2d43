"""Folders by address: listed in pages, read through scratch, written whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from fourfold.errors import InputError, MissingExtra, UsageError
from fourfold.files import addresses
from fourfold.files.addresses import StorageError, beside, open_store, scheme

KINDS = ("local", "memory", "s3")


@pytest.fixture
def address(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "folder")
    if request.param == "s3":
        return f"{request.getfixturevalue('s3')}/a folder"
    pytest.importorskip("fsspec")
    return f"memory://{tmp_path.name}/folder"


every_kind = pytest.mark.parametrize("address", KINDS, indirect=True)


def listed(store: Any, **options: Any) -> list[str]:
    return sorted(entry.key for page in store.pages(**options) for entry in page)


def put(store: Any, tmp_path: Path, **contents: bytes) -> None:
    for name, content in contents.items():
        (tmp_path / "content").write_bytes(content)
        store.publish(tmp_path / "content", name.replace("_", "/") + ".png")


def test_what_is_an_address() -> None:
    assert scheme("s3://bucket/x") == "s3"
    assert scheme("memory://x") == "memory"
    assert scheme("C://x") is scheme("/a/b") is scheme("a:b") is scheme("") is None


@every_kind
def test_put_listed_read_and_removed(address: str, tmp_path: Path) -> None:
    store = open_store(address, write=True)
    assert listed(store) == []
    assert store.stat("a.png") is None
    put(store, tmp_path, a=b"first", x_b=b"second", x_y_c=b"third")
    assert listed(store) == ["a.png", "x/b.png", "x/y/c.png"]
    assert listed(store, recursive=False) == ["a.png"]
    assert listed(store, below="x") == ["x/b.png", "x/y/c.png"]
    assert store.stat("x") is None
    assert store.read("x/b.png") == b"second"
    assert store.read("x/b.png", last=3) == b"ond"
    store.fetch("x/y/c.png", tmp_path / "fetched")
    assert (tmp_path / "fetched").read_bytes() == b"third"
    store.remove("a.png")
    store.remove("a.png")
    assert listed(store) == ["x/b.png", "x/y/c.png"]
    with pytest.raises(FileNotFoundError):
        store.read("a.png")


@every_kind
def test_entries_tell_size_time_and_content(address: str, tmp_path: Path) -> None:
    store = open_store(address, write=True)
    put(store, tmp_path, a=b"first")
    (before,) = (entry for page in store.pages() for entry in page)
    assert store.stat("a.png") == before
    assert before.size == 5
    assert before.tag
    assert before.modified is not None
    put(store, tmp_path, a=b"other")
    after = store.stat("a.png")
    assert after is not None
    assert after.tag != before.tag


def test_a_large_folder_comes_in_pages(
    tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    monkeypatch.setattr(addresses, "_PAGE", 4)
    for number in range(10):
        (tmp_path / f"{number}.png").touch()
    s3fs.S3FileSystem().pipe({f"{s3}/in/{number}.png": b"" for number in range(10)})
    for address in (str(tmp_path), f"{s3}/in"):
        pages = list(open_store(address).pages())
        assert [len(page) for page in pages] == [4, 4, 2]
        assert len({entry.key for page in pages for entry in page}) == 10


def test_files_that_go_while_they_are_listed_hide_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        (tmp_path / f"{number}.png").touch()
    original = addresses.os.scandir

    def scandir(folder: Path) -> Any:
        for entry in list(original(folder)):
            if entry.name in ("1.png", "4.png"):
                (tmp_path / entry.name).unlink()
            yield entry

    monkeypatch.setattr(addresses.os, "scandir", scandir)
    assert listed(open_store(str(tmp_path))) == ["0.png", "2.png", "3.png", "5.png"]


def test_folders_that_go_while_they_are_listed_hide_no_others(tmp_path: Path) -> None:
    pytest.importorskip("fsspec")
    store = open_store(f"memory://{tmp_path.name}", write=True)
    put(store, tmp_path, x_a=b"", y_b=b"", z_c=b"")
    original = store._fs.ls  # type: ignore[attr-defined]

    def ls(path: str, **options: Any) -> Any:
        if path.endswith("/y"):
            raise FileNotFoundError(path)
        return original(path, **options)

    store._fs.ls = ls  # type: ignore[attr-defined]
    try:
        assert listed(store) == ["x/a.png", "z/c.png"]
    finally:
        del store._fs.ls  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", ["/a.png", "x//a.png", "../a.png", "x/../../a.png", "./a.png"])
def test_keys_of_a_bucket_name_nothing_outside_a_local_folder(key: str, tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "out"), write=True)
    (tmp_path / "content").write_bytes(b"x")
    with pytest.raises(InputError, match="no file of a local folder"):
        store.local(key)
    with pytest.raises(InputError, match="no file of a local folder"):
        store.publish(tmp_path / "content", key)


def test_every_slash_of_a_key_counts(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"{s3}/in")
    keys = ["/lead.png", "x//c.png", "x/c.png"]
    contents = [{"Key": f"in/{key}", "Size": 1, "ETag": "t"} for key in keys]
    files = store._fs  # type: ignore[attr-defined]
    monkeypatch.setattr(files, "call_s3", lambda *_, **__: {"Contents": contents})
    assert listed(store) == keys
    for key in keys:
        assert files.split_path(store._path(key))[1] == f"in/{key}"  # type: ignore[attr-defined]
    assert [beside(key, "n.png") for key in keys] == ["/n.png", "x//n.png", "x/n.png"]


def test_an_upload_in_parts_that_fails_is_given_up(
    tmp_path: Path, s3: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    import s3fs

    def call(self: Any, method: str, *args: Any, **options: Any) -> Any:
        if method == "upload_part" and options["PartNumber"] == 2:
            raise PermissionError("no more")
        return original(self, method, *args, **options)

    original = s3fs.S3FileSystem._call_s3
    store = open_store(s3, write=True)
    with (tmp_path / "large").open("wb") as file:
        file.truncate(101 << 20)
    monkeypatch.setattr(s3fs.S3FileSystem, "_call_s3", call)
    with pytest.raises(StorageError, match="no more"):
        store.publish(tmp_path / "large", "large.png")
    monkeypatch.undo()
    assert listed(store) == []
    files = store._fs  # type: ignore[attr-defined]
    assert files.call_s3("list_multipart_uploads", Bucket=s3[5:]).get("Uploads") is None


def test_a_failed_write_leaves_nothing_where_renames_make_it_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("fsspec")
    store = open_store(f"memory://{tmp_path.name}", write=True)
    (tmp_path / "content").write_bytes(b"x")

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("gone")

    monkeypatch.setattr(store._fs, "mv", fail)  # type: ignore[attr-defined]
    with pytest.raises(StorageError, match=r"a\.png.*gone"):
        store.publish(tmp_path / "content", "a.png")
    assert listed(store) == []


def test_pages_of_the_web_are_read_only(flaky_server: Any, tmp_path: Path) -> None:
    pytest.importorskip("aiohttp")
    links = b'<a href="a.png">a</a> <a href="b.png">b</a>'
    server = flaky_server({"in/": links, "in/a.png": b"first", "in/b.png": b"second"})
    address = f"{server.url}/in/"
    store = open_store(address)
    assert listed(store, recursive=False) == ["a.png", "b.png"]
    store.fetch("a.png", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == b"first"
    with pytest.raises(UsageError, match="only read"):
        open_store(address, write=True)


def test_what_is_missing_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match="nonsense"):
        open_store("nonsense://x")
    for name in ("fsspec", "fsspec.core"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"s3://.*\[remote\]"):
        open_store("s3://bucket")


def test_local_paths_import_no_fsspec(tmp_path: Path) -> None:
    code = (
        "import sys; from fourfold.files.addresses import open_store\n"
        "store = open_store(sys.argv[1], write=True); store.publish(sys.argv[0] and __import__("
        "'pathlib').Path(sys.executable), 'x'); list(store.pages()); store.read('x', last=3)\n"
        "sys.exit('fsspec' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "new")]
    assert subprocess.run(command, check=False, timeout=120).returncode == 0
