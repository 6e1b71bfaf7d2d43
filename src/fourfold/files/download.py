"""Fetch a file over HTTP: resumed where it broke, checked, and there only when whole."""

from __future__ import annotations

import errno
import hashlib
import http.client
import logging
import os
import re
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from fourfold.errors import DownloadError

logger = logging.getLogger(__name__)

Progress = Callable[[int, int | None], None]

_CHUNK: Final = 1 << 20
_FULL: Final = (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC))
_TIMEOUT: Final = 60.0
_BROKEN: Final = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError)


@dataclass(frozen=True, slots=True)
class Download:
    """What is fetched, and what it must be; the hash is SHA-256 unless the publisher has MD5."""

    url: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None
    largest: int | None = None
    """Bytes at which it is given up; those of `size` where that is known."""


def fetch(
    download: Download,
    target: Path,
    *,
    attempts: int = 8,
    pause: float = 1.0,
    progress: Progress | None = None,
) -> Path:
    """Bring the file to `target` and return it; a whole one that is there already is kept.

    A broken transfer goes on where it stopped, now and at the next call (`<target>.part`).
    `attempts` in a row without a new byte, or content that is not what was promised, is a
    `DownloadError`. `progress` is called with (bytes so far, bytes in all or None).
    """
    if target.is_file() and (download.size is None or target.stat().st_size == download.size):
        return target
    part = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _check_space(download, target.parent, part)
        _transfer(download, part, attempts=attempts, pause=pause, progress=progress)
        _verify(download, part)
        os.replace(part, target)
    except OSError as error:
        if error.errno in _FULL:  # going on later is worth less than a disk with room
            part.unlink(missing_ok=True)
        raise DownloadError(f"{target}: cannot write ({error.strerror or error})") from error
    return target


def _check_space(download: Download, folder: Path, part: Path) -> None:
    have = part.stat().st_size if part.exists() else 0
    free = shutil.disk_usage(folder).free
    if download.size is not None and download.size - have > free:
        raise DownloadError(
            f"{folder}: want {(download.size - have) / 1e9:.1f} GB of free disk, "
            f"found {free / 1e9:.1f} GB"
        )


def _transfer(
    download: Download, part: Path, *, attempts: int, pause: float, progress: Progress | None
) -> None:
    failures = 0
    while True:
        before = part.stat().st_size if part.exists() else 0
        try:
            if _receive(download, part, before, progress):
                return
            reason = "the connection closed early"
        except urllib.error.HTTPError as error:
            error.close()  # it holds the connection
            if error.code == 416 and before:  # nothing left to send, or the file has changed
                return
            if error.code < 500:
                told = error.reason.splitlines()[0] if error.reason else ""
                raise DownloadError(f"{download.url}: HTTP {error.code} {told}") from error
            reason = f"HTTP {error.code} {error.reason}"
        except (http.client.InvalidURL, ValueError) as error:
            raise DownloadError(f"{download.url}: no address to fetch from ({error})") from error
        except _BROKEN as error:
            reason = str(getattr(error, "reason", None) or error) or type(error).__name__
        now = part.stat().st_size if part.exists() else 0
        failures = failures + 1 if now == before else 0
        if failures >= attempts:
            raise DownloadError(f"{download.url}: {reason}, {attempts} times without a new byte")
        logger.info("%s: %s at %d bytes, going on", download.url, reason, now)
        if now == before:
            time.sleep(min(pause * 2 ** (failures - 1), 30.0))


def _receive(download: Download, part: Path, start: int, progress: Progress | None) -> bool:
    """Append what the server sends from `start` on; whether that was all of it."""
    request = urllib.request.Request(download.url, headers={"User-Agent": "fourfold"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
        resumed = response.status == 206
        if resumed and not _goes_on(response, start):
            part.unlink()
            raise DownloadError(
                f"{download.url}: want the bytes from {start} on, got {response.headers['Content-Range']}; "
                "the download was thrown away"
            )
        expected = _announced(response, start if resumed else 0) or download.size
        largest = download.size if download.size is not None else download.largest
        with part.open("ab" if resumed else "wb") as file:
            while chunk := response.read(_CHUNK):
                if largest is not None and file.tell() + len(chunk) > largest:
                    break
                file.write(chunk)
                if progress is not None:
                    progress(file.tell(), expected)
    if chunk:
        part.unlink()
        raise DownloadError(
            f"{download.url}: want at most {largest} bytes, got more; the download was thrown away"
        )
    return expected is None or part.stat().st_size >= expected


def _goes_on(response: Any, start: int) -> bool:
    """Whether a part begins where it was asked to; some servers do not say."""
    told = response.headers.get("Content-Range")
    return told is None or re.match(rf"\s*bytes\s+{start}-", told) is not None


def _announced(response: Any, start: int) -> int | None:
    length = response.headers.get("Content-Length", "")
    return start + int(length) if length.isdecimal() else None


def _verify(download: Download, part: Path) -> None:
    """Raise when `part` is not what was promised, and remove it: the next call starts anew."""
    size = part.stat().st_size
    problem = None
    if download.size is not None and size != download.size:
        problem = f"want {download.size} bytes, got {size}"
    for name, wanted in (("sha256", download.sha256), ("md5", download.md5)):
        if problem is None and wanted is not None:
            with part.open("rb") as file:
                got = hashlib.file_digest(file, name).hexdigest()
            if got != wanted:
                problem = f"want {name} {wanted}, got {got}"
    if problem is not None:
        part.unlink()
        raise DownloadError(f"{download.url}: {problem}; the download was thrown away")


__all__ = ["Download", "fetch"]
