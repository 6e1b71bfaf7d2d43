"""Bring a model of the catalogue here, and know those that were brought."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fourfold.errors import DownloadError, UsageError, shown
from fourfold.files.download import Download, Progress, fetch
from fourfold.files.locks import take_lock
from fourfold.files.paths import atomic_path
from fourfold.weights.catalogue import KINDS, Entry, Offer

logger = logging.getLogger(__name__)


def models_dir() -> Path:
    """Where models are kept: `$FOURFOLD_MODELS_DIR` or the user's data folder."""
    import platformdirs

    own = os.environ.get("FOURFOLD_MODELS_DIR")
    return Path(own) if own else Path(platformdirs.user_data_dir("fourfold")) / "models"


def brought() -> dict[str, Path]:
    """Names of the models that are here, and their files."""
    try:
        files = sorted(models_dir().iterdir())
    except OSError:
        return {}
    found: dict[str, Path] = {}
    for kind in KINDS:
        for path in files:
            if path.suffix == f".{kind}" and not path.name.startswith("."):
                found.setdefault(path.stem, path)
    return found


def facts_of(path: Path) -> dict[str, Any]:
    """What the catalogue said of a model that was brought; empty for other files."""
    try:
        facts = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    known = isinstance(facts, dict) and facts.get("id") == path.stem
    return facts if known and path.parent == models_dir() else {}


def get_model_file(
    entry: Entry,
    *,
    accept_license: bool = False,
    kind: str | None = None,
    progress: Progress | None = None,
    attempts: int = 8,
    pause: float = 1.0,
) -> Path:
    """Bring a model's file; one that is here and whole is kept.

    Two processes that want the same model take turns. Raises `UsageError` for a licence that
    `accept_license` does not accept, and `DownloadError` naming each address that failed, or those
    that only a browser can follow.
    """
    if entry.restriction is not None and not accept_license:
        raise UsageError(
            f"{entry.id} by {', '.join(entry.author)}: {entry.restriction}; --accept-license says "
            "that this is understood"
        )
    offer = _choose(entry, kind)
    target = models_dir() / f"{entry.id}.{offer.type}"
    with _turn(target):
        if _sha256(target) != offer.sha256:
            target.unlink(missing_ok=True)
            _bring(entry, offer, target, progress=progress, attempts=attempts, pause=pause)
        with atomic_path(target.with_suffix(".json")) as part:
            part.write_text(json.dumps(entry.facts()), encoding="utf-8")
    return target


def _choose(entry: Entry, kind: str | None) -> Offer:
    """The best file that can be had: as trained where it can be read here, else ONNX."""
    if kind is not None and kind not in KINDS:
        raise UsageError(f"--kind: want {', '.join(KINDS)}; got {kind!r}")
    offers = [offer for offer in entry.offers if kind in (None, offer.type)]
    if not offers:
        there = ", ".join(sorted({offer.type for offer in entry.offers})) or "no file at all"
        raise UsageError(f"{entry.id}: want {kind or ', '.join(KINDS)}; there is {there}")
    trained = importlib.util.find_spec("spandrel") is not None
    order = ("safetensors", "pth", "onnx") if trained else KINDS
    return min(offers, key=lambda offer: (not offer.direct, order.index(offer.type)))


def _bring(
    entry: Entry,
    offer: Offer,
    target: Path,
    *,
    progress: Progress | None,
    attempts: int,
    pause: float,
) -> None:
    if not offer.direct:
        raise DownloadError(
            f"{entry.id}: only a browser can fetch it, from {' or '.join(offer.urls) or 'nowhere'}; "
            f"save it as {target}"
        )
    failed: list[str] = []
    for url in offer.direct:
        download = Download(url, size=offer.size, sha256=offer.sha256)
        try:
            fetch(download, target, attempts=attempts, pause=pause, progress=progress)
            return
        except DownloadError as error:
            logger.info("%s", error)
            failed.append(str(error))
    elsewhere = [url for url in offer.urls if url not in offer.direct]
    hint = f"; a browser may have more luck with {' or '.join(elsewhere)}" if elsewhere else ""
    raise DownloadError("; ".join(failed) + hint)


@contextmanager
def _turn(target: Path) -> Iterator[None]:
    """Wait until no other process brings this file."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        path = target.with_name(f".{target.name}.lock")
        waiting = False
        while (lock := take_lock(path)) is None:
            if not waiting:
                logger.info("%s: another process brings it; waiting", shown(target.name))
            waiting = True
            time.sleep(0.1)
    except OSError as error:
        raise DownloadError(f"{target}: cannot write ({error.strerror or error})") from error
    try:
        yield
    finally:
        lock.release()


def _sha256(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


__all__ = ["brought", "facts_of", "get_model_file", "models_dir"]
