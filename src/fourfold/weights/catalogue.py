"""Other people's models that can be had: facts of OpenModelDB, as shipped or read anew."""

from __future__ import annotations

import difflib
import gzip
import json
import re
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from fourfold.errors import DownloadError, ModelNotFound
from fourfold.files.download import Download, fetch

SNAPSHOT: Final = Path(__file__).parent.parent / "bundled" / "openmodeldb.json.gz"
"""Made by scripts/make_catalogue.py; facts only."""

LIVE: Final = "https://openmodeldb.info/api/v1/models.json"

KINDS: Final = ("onnx", "safetensors", "pth")
"""Files that can be brought; the first runs without torch."""

_LARGEST_LIST: Final = 32 << 20
"""Bytes of a list of models that are read; that of 671 has 2 MB."""

_ID: Final = re.compile(r"[A-Za-z0-9][\w.+-]{0,120}")
"""A model's id becomes a file's name."""

_PAGES: Final = (
    "drive.google.com",
    "mega.nz",
    "mega.co.nz",
    "1drv.ms",
    "mediafire.com",
    "pcloud.link",
    "drive.proton.me",
    "icedrive.net",
    "1fichier.com",
    "zippyshare.com",
    "dropbox.com",
    "lbry.tv",
)
"""Hosts whose addresses lead to a page for people, not to the file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """One file of a model."""

    type: str
    size: int
    sha256: str
    urls: tuple[str, ...]

    @property
    def direct(self) -> tuple[str, ...]:
        """Addresses that answer with the file itself."""
        return tuple(_raw(url) for url in self.urls if _is_file(url))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What is known of a model before it is here."""

    id: str
    name: str
    author: tuple[str, ...]
    license: str | None
    """SPDX name; None where its author gave none."""
    architecture: str
    scale: int
    channels: tuple[int, int]
    """Of the picture that goes in, and of the one that comes out."""
    date: str
    tags: tuple[str, ...]
    offers: tuple[Offer, ...]

    @property
    def restriction(self) -> str | None:
        """Why it may not be used by everybody for everything; None where it may."""
        if self.license is None:
            return "its author names no licence"
        if "NC" in self.license.upper().split("-"):
            return f"its licence, {self.license}, forbids commercial use"
        return None

    def facts(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


def read_entries(values: Any, *, source: str) -> tuple[Entry, ...]:
    """Entries of a decoded list, `{id: facts}` or `[facts with id]`.

    What cannot be used is left out: ids that are no file names, files of other kinds. Raises
    `DownloadError` naming `source` where the whole is no list of models.
    """
    if isinstance(values, Mapping):
        values = [{**v, "id": k} for k, v in values.items() if isinstance(v, Mapping)]
    if not isinstance(values, list):
        raise DownloadError(f"{source}: want a list of models, got {type(values).__name__}")
    found = (_entry(value) for value in values)
    return tuple(entry for entry in found if entry is not None)


def _entry(value: Any) -> Entry | None:
    try:
        if not _ID.fullmatch(value["id"]) or not 1 <= int(value["scale"]) <= 16:
            return None
        author = value.get("author") or ()
        license = value.get("license")
        return Entry(
            id=value["id"],
            name=str(value.get("name") or value["id"]),
            author=(author,) if isinstance(author, str) else tuple(map(str, author)),
            license=None if license is None else str(license),
            architecture=str(value["architecture"]),
            scale=int(value["scale"]),
            channels=(int(value.get("inputChannels", 3)), int(value.get("outputChannels", 3))),
            date=str(value.get("date", "")),
            tags=tuple(map(str, value.get("tags") or ())),
            offers=tuple(offer for offer in map(_offer, value["resources"]) if offer is not None),
        )
    except (KeyError, TypeError, ArithmeticError, ValueError, AttributeError):
        return None


def _offer(value: Any) -> Offer | None:
    hashed = re.fullmatch(r"[0-9a-f]{64}", str(value.get("sha256")).lower())
    if value.get("type") not in KINDS or hashed is None or not value.get("size"):
        return None
    return Offer(
        type=value["type"],
        size=int(value["size"]),
        sha256=hashed[0],
        urls=tuple(map(str, value.get("urls") or ())),
    )


def _is_file(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = (parts.hostname or "").lower()
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return False
    page = any(host == page or host.endswith(f".{page}") for page in _PAGES)
    tree = host == "github.com" and "/tree/" in parts.path
    return parts.scheme in ("http", "https") and bool(host) and not page and not tree


def _raw(url: str) -> str:
    """GitHub shows a file at `/blob/` and sends it at `/raw/`."""
    return url.replace("/blob/", "/raw/", 1) if url.startswith("https://github.com/") else url


def catalogue(*, live: bool = False, address: str | None = None) -> tuple[Entry, ...]:
    """The models of the snapshot that is shipped or, when asked for, of the list as it is now.

    `DownloadError` where that cannot be read.
    """
    if not live:
        return read_entries(
            json.loads(gzip.decompress(SNAPSHOT.read_bytes())), source=SNAPSHOT.name
        )
    url = address or LIVE
    with tempfile.TemporaryDirectory() as folder:
        try:
            download = Download(url, largest=_LARGEST_LIST)
            content = fetch(download, Path(folder) / "models.json", attempts=2).read_bytes()
            return read_entries(json.loads(content), source=url)
        except (DownloadError, ValueError, RecursionError) as error:
            raise DownloadError(
                f"the live list cannot be read ({error}); without --live the list of this version "
                "is used"
            ) from error


def search(
    entries: Iterable[Entry],
    text: str = "",
    *,
    arch: str | None = None,
    license: str | None = None,
    scale: int | None = None,
) -> tuple[Entry, ...]:
    """Those that have each word of `text` in id, name, author, architecture or tags, newest first.

    `arch` and `license` are the whole name, whatever the case; `license` may also be `commercial`
    (allowed) or `none` (not named).
    """

    def fits(entry: Entry) -> bool:
        told = " ".join(
            (entry.id, entry.name, *entry.author, entry.architecture, *entry.tags)
        ).lower()
        return (
            all(word in told for word in text.lower().split())
            and (arch is None or entry.architecture.lower() == arch.lower())
            and (scale is None or entry.scale == scale)
            and (license is None or _licensed(entry, license.lower()))
        )

    return tuple(sorted(filter(fits, entries), key=lambda e: (e.date, e.id), reverse=True))


def _licensed(entry: Entry, wanted: str) -> bool:
    if wanted == "commercial":
        return entry.restriction is None
    return (entry.license or "none").lower() == wanted


def find_entry(entries: Sequence[Entry], name: str) -> Entry:
    """The model of that id, whatever the case; `ModelNotFound` names near ones."""
    ids = {entry.id.lower(): entry for entry in entries}
    if name.lower() in ids:
        return ids[name.lower()]
    near = [ids[key].id for key in difflib.get_close_matches(name.lower(), ids, n=3)]
    near = near or [entry.id for entry in search(entries, name)[:3]]
    hint = f"did you mean {', '.join(near)}?" if near else "`fourfold models search` lists them"
    raise ModelNotFound(f"{name}: no such model among {len(entries)}; {hint}")


__all__ = [
    "KINDS",
    "LIVE",
    "SNAPSHOT",
    "Entry",
    "Offer",
    "catalogue",
    "find_entry",
    "read_entries",
    "search",
]
