"""Folders by address: local paths, and through fsspec whatever else it opens.

Files come through local scratch as streams, and results are put whole: a reader sees all of one or
nothing. A local path imports no fsspec.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePath
from typing import Any, Final, Protocol

from fourfold.errors import FourfoldError, InputError, MissingExtra, UsageError, shown
from fourfold.files.paths import atomic_path

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_PAGE: Final = 1000
"""Entries of a page: what S3 gives at most (ListObjectsV2)."""
_WHOLE_PUTS: Final = frozenset({"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss"})
"""Object stores, where an object appears when its upload is complete."""
_READ_ONLY: Final = frozenset({"http", "https"})
_OPTIONS: Final = {"s3": {"max_concurrency": 2}}
"""Parts of 50 MB on their way at once; ten would take more memory than the network."""


class StorageError(FourfoldError):
    """A store did not answer or refused; the same call may work later."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a folder."""

    key: str
    """Where it stands below the folder, with `/`."""
    size: int | None
    tag: str
    """ETag, or else the time of the last change: another content has another one."""
    modified: float | None = None
    """Seconds since 1970."""


class Store(Protocol):
    """A folder somewhere. Methods raise `StorageError`, `read` and `fetch` `FileNotFoundError`."""

    address: str

    def pages(self, below: str = "", *, recursive: bool = True) -> Iterator[list[Entry]]:
        """Files of the folder `below`, in any order, without holding all; none where it is not."""

    def stat(self, key: str) -> Entry | None:
        """One file; None where there is none."""

    def local(self, key: str) -> Path | None:
        """Its path, on a store whose files are read and written in place.

        `InputError` for the key of another store that names no file of this folder alone.
        """

    def fetch(self, key: str, path: Path) -> None:
        """Copy a file to `path`."""

    def read(self, key: str, *, last: int | None = None) -> bytes:
        """A small file, or its `last` bytes."""

    def publish(self, path: Path, key: str) -> Entry:
        """Put the file at `path` whole."""

    def remove(self, key: str) -> None:
        """Remove a file, where there is one."""


def scheme(address: str) -> str | None:
    """`s3` of `s3://bucket/folder`; None for a local path."""
    match = _SCHEME.match(address)
    return match[1].lower() if match else None


def beside(key: str, name: str) -> str:
    """The key of `name` in the folder of `key`; `x//a` is another folder than `x/a` in a bucket."""
    return f"{key[: key.rfind('/') + 1]}{name}"


def open_store(address: str, *, write: bool = False) -> Store:
    """The folder at `address`.

    Raises `UsageError` for an address nothing opens, or one that cannot be written to with
    `write`; `MissingExtra` without fsspec.
    """
    kind = scheme(address)
    if kind is None:
        return LocalStore(address)
    if write and kind in _READ_ONLY:
        raise UsageError(f"{address}: {kind} is only read; want results in another place")
    return RemoteStore(address)


class LocalStore:
    """A folder of this machine."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._root = Path(address)

    def pages(self, below: str = "", *, recursive: bool = True) -> Iterator[list[Entry]]:
        """See `Store`."""
        folders = [below]
        while folders:
            folder = folders.pop()
            page: list[Entry] = []
            with _storage(self.address), suppress(FileNotFoundError, NotADirectoryError):
                for found in os.scandir(self._root / folder):
                    key = f"{folder}/{found.name}" if folder else found.name
                    if found.is_dir(follow_symlinks=False):
                        folders += [key] if recursive else []
                    elif found.is_file():
                        with suppress(FileNotFoundError):  # gone meanwhile; the others are not
                            page.append(_local_entry(key, found.stat()))
                    if len(page) == _PAGE:
                        yield page
                        page = []
            if page:
                yield page

    def stat(self, key: str) -> Entry | None:
        """See `Store`."""
        with _storage(self.address), suppress(FileNotFoundError, NotADirectoryError):
            found = (self._root / key).stat()
            return _local_entry(key, found) if stat.S_ISREG(found.st_mode) else None
        return None

    def local(self, key: str) -> Path:
        """See `Store`."""
        path = PurePath(key)
        # "/a", "x//a" and "../a" are three keys of a bucket, and here other files or none of ours.
        if path.anchor or ".." in path.parts or path.as_posix() != key:
            raise InputError(f"{shown(key)}: no file of a local folder can have this name")
        return self._root / key

    def fetch(self, key: str, path: Path) -> None:
        """See `Store`."""
        with _storage(self.address):
            shutil.copyfile(self._root / key, path)

    def read(self, key: str, *, last: int | None = None) -> bytes:
        """See `Store`."""
        with _storage(self.address), (self._root / key).open("rb") as file:
            if last is not None:
                file.seek(max(0, file.seek(0, os.SEEK_END) - last))
            return file.read()

    def publish(self, path: Path, key: str) -> Entry:
        """See `Store`."""
        target = self.local(key)
        with _storage(self.address, there=False):
            with atomic_path(target) as part:
                shutil.copyfile(path, part)
            return _local_entry(key, target.stat())

    def remove(self, key: str) -> None:
        """See `Store`."""
        with _storage(self.address):
            (self._root / key).unlink(missing_ok=True)


class RemoteStore:
    """A folder that fsspec opens; who may read it, and where it is, is the environment's business."""

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")
        kind = scheme(address)
        try:
            from fsspec.core import url_to_fs

            self._fs, root = url_to_fs(
                self.address, use_listings_cache=False, **_OPTIONS.get(kind or "", {})
            )
        except ImportError as error:
            if kind in ("s3", "s3a") or "fsspec" in str(error.name):
                raise MissingExtra(f"{kind}://", "remote") from error
            raise UsageError(f"{address}: {error}") from error
        except ValueError as error:
            raise UsageError(f"{address}: {error}") from error
        self._root = str(root).rstrip("/")
        self._whole, self._links = kind in _WHOLE_PUTS, kind in _READ_ONLY

    def _path(self, key: str) -> str:
        return f"{self._root}/{key}" if key else self._root

    def _entry(self, info: dict[str, Any]) -> Entry:
        path = str(info.get("name") or info["Key"])
        key = path.removeprefix(self._root).removeprefix("/")
        tag = info.get("ETag") or info.get("etag") or info.get("md5Hash")
        times = (info.get(name) for name in ("LastModified", "mtime", "updated", "created"))
        changed = next((time for time in times if time), None)
        modified = changed.timestamp() if isinstance(changed, datetime) else changed
        size = info.get("size", info.get("Size"))
        return Entry(
            key,
            None if size is None else int(size),
            str(tag or modified or "").strip('"'),
            modified if isinstance(modified, (int, float)) else None,
        )

    def pages(self, below: str = "", *, recursive: bool = True) -> Iterator[list[Entry]]:
        """See `Store`."""
        listing = self._s3_pages if hasattr(self._fs, "call_s3") else self._folder_pages
        with _storage(self.address), suppress(FileNotFoundError, NotADirectoryError):
            yield from listing(below, recursive)

    def _s3_pages(self, below: str, recursive: bool) -> Iterator[list[Entry]]:
        """As the service lists, so that a million keys are never in memory at once."""
        bucket, prefix, _ = self._fs.split_path(self._path(below))
        options: dict[str, Any] = {"Bucket": bucket, "Prefix": f"{prefix}/" if prefix else ""}
        options["MaxKeys"] = _PAGE
        if not recursive:
            options["Delimiter"] = "/"
        while True:
            answer = self._fs.call_s3("list_objects_v2", **options)
            found = answer.get("Contents") or []
            yield [
                self._entry({**info, "name": f"{bucket}/{info['Key']}"})
                for info in found
                if not info["Key"].endswith("/")
            ]
            if not answer.get("IsTruncated"):
                return
            options["ContinuationToken"] = answer["NextContinuationToken"]

    def _folder_pages(self, below: str, recursive: bool) -> Iterator[list[Entry]]:
        """Folder by folder, which is all that fsspec offers in general."""
        end = "/" if self._links else ""  # web servers have their list of links there
        folders = [self._path(below)]
        while folders:
            page: list[Entry] = []
            with suppress(
                FileNotFoundError, NotADirectoryError
            ):  # gone since its parent was listed
                for info in self._fs.ls(folders.pop().rstrip("/") + end, detail=True):
                    if info["type"] == "directory":
                        folders += [info["name"]] if recursive else []
                    else:
                        page += self._described(info)
            yield from (page[i : i + _PAGE] for i in range(0, len(page), _PAGE))

    def _described(self, info: dict[str, Any]) -> Iterator[Entry]:
        """The entry of a file in a listing, unless it is gone."""
        with suppress(FileNotFoundError):
            if info.get("size") is None:  # a page of links
                info = self._fs.info(info["name"])
            yield self._entry(info)

    def stat(self, key: str) -> Entry | None:
        """See `Store`."""
        with _storage(self.address), suppress(FileNotFoundError, NotADirectoryError):
            info = self._fs.info(self._path(key))
            return None if info["type"] == "directory" else self._entry(info)
        return None

    def local(self, key: str) -> Path | None:
        """See `Store`."""
        return None

    def fetch(self, key: str, path: Path) -> None:
        """See `Store`."""
        with _storage(f"{self.address}/{key}"):
            self._fs.get_file(self._path(key), str(path))

    def read(self, key: str, *, last: int | None = None) -> bytes:
        """See `Store`."""
        with _storage(f"{self.address}/{key}"):
            start = None if last is None else -last
            return bytes(self._fs.cat_file(self._path(key), start=start))

    def publish(self, path: Path, key: str) -> Entry:
        """See `Store`."""
        target = self._path(key)
        with _storage(f"{self.address}/{key}", there=False):
            if self._whole:
                self._fs.put_file(str(path), target)  # an upload in parts that fails is given up
            else:
                folder, _, _ = target.rpartition("/")
                part = f"{folder}/.fourfold-{secrets.token_hex(8)}.part"
                self._fs.makedirs(folder, exist_ok=True)
                try:
                    self._fs.put_file(str(path), part)
                    self._fs.mv(part, target)
                except BaseException:
                    with suppress(Exception):
                        self._fs.rm_file(part)
                    raise
            return self._entry(self._fs.info(target))

    def remove(self, key: str) -> None:
        """See `Store`."""
        with _storage(f"{self.address}/{key}"), suppress(FileNotFoundError):
            self._fs.rm_file(self._path(key))


def _local_entry(key: str, found: os.stat_result) -> Entry:
    return Entry(key, found.st_size, str(found.st_mtime_ns), found.st_mtime)


@contextmanager
def _storage(address: str, *, there: bool = True) -> Iterator[None]:
    """What a store fails with, as `StorageError`.

    A file that should be `there` and is not stays what it is; where one is put, the bucket is not.
    """
    try:
        yield
    except FourfoldError:
        raise
    except Exception as error:  # each service has exceptions of its own
        if there and isinstance(error, (FileNotFoundError, NotADirectoryError)):
            raise
        said = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise StorageError(f"{address}: the store says: {' '.join(str(said).split())}") from error


__all__ = [
    "Entry",
    "LocalStore",
    "RemoteStore",
    "StorageError",
    "Store",
    "beside",
    "open_store",
    "scheme",
]
