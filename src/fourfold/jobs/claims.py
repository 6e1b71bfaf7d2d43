"""Who makes a result: one input of a command, and one process of all that run."""

from __future__ import annotations

import hashlib
import logging
import os
import re
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from fourfold.errors import OutputError, option
from fourfold.files.locks import remove_abandoned, take_lock
from fourfold.files.parts import remove_leftovers
from fourfold.jobs.records import Record, difference, read_record
from fourfold.jobs.request import Request

logger = logging.getLogger(__name__)

_LOCK: Final = re.compile(r"\.fourfold-[0-9a-f]{16}\.lock")


class Finished(Exception):
    """The result of an input exists and is to be kept."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path, self.reason = path, reason


class Busy(OutputError):
    """Another process, or another thread, is making this result."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: another process is working on it; wait or stop that one")
        self.path = path


class Claims:
    """The results of one command."""

    def __init__(self) -> None:
        self._owners: dict[str, str] = {}
        self._folders: set[Path] = set()

    def take(
        self,
        path: Path,
        *,
        owner: str,
        record: Record,
        overwrite: bool,
        held: ExitStack,
    ) -> None:
        """Claim `path` for the input `owner` until `held` is closed; makes its folder.

        Raises `OutputError` when an earlier input has this result or a result of other settings
        stands there, `Finished` when it is there as `record` says, `Busy` when another process
        is at it.
        """
        self.own(path, owner)
        check_existing(path, record, overwrite=overwrite)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._clean(path.parent)
        lock = take_lock(path.with_name(f".fourfold-{_hash(path.name)}.lock"))
        if lock is None:
            raise Busy(path)
        held.callback(lock.release)
        check_existing(path, record, overwrite=overwrite)  # it may have come meanwhile

    def own(self, path: Path, owner: str) -> None:
        """`OutputError` when an input other than `owner` has this result."""
        # Casefolded: macOS and Windows take A.png and a.png for one file.
        key = str(path.absolute()).casefold()
        other = self._owners.setdefault(key, owner)
        if other != owner:
            raise OutputError(
                f"{owner}: {path} is the result of {other}; use another {option('suffix')}, "
                f"{option('ext')} or {option('target')} for "
                "one of them"
            )

    def _clean(self, folder: Path) -> None:
        """Remove what killed runs have left, once for each folder."""
        if folder in self._folders:
            return
        self._folders.add(folder)
        for leftover in remove_leftovers(folder):
            logger.info("removed %s, left by a run that was killed", leftover)
        with suppress(OSError):
            for entry in os.scandir(folder):
                if _LOCK.fullmatch(entry.name):
                    remove_abandoned(Path(entry.path), said=True)


def _hash(name: str) -> str:
    return hashlib.sha256(os.fsencode(name.casefold())).hexdigest()[:16]


def claim(path: Path, request: Request, record: Record, claims: Claims, held: ExitStack) -> None:
    """`Claims.take` for a request; `OutputError` where its result would replace its source."""
    source = request.path
    if source is not None and path.exists() and source.exists() and path.samefile(source):
        raise OutputError(
            f"{path}: is the input itself; choose another {option('target')} or {option('suffix')}"
        )
    check_place(path)
    claims.take(path, owner=request.name, record=record, overwrite=request.overwrite, held=held)


def check_place(path: Path) -> None:
    """`OutputError` where no file can come to stand, in words for what is there instead."""
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or device"
        raise OutputError(f"{path}: is {kind}; choose another {option('target')}")
    folder = next((parent for parent in path.parents if parent.exists()), None)
    if folder is not None and not folder.is_dir():
        raise OutputError(
            f"{path}: {folder} is no folder; choose another {option('target')}: a folder, or a name "
            f"such as {path.name}"
        )


def check_existing(path: Path, record: Record, *, overwrite: bool) -> None:
    """Nothing where there is no result, or one to be replaced.

    Raises `Finished` for one that these settings have made, or one that does not say what has;
    `OutputError` for one of other settings.
    """
    reason = None if overwrite else existing(path, record)
    if reason is None:
        return
    if reason.startswith("exists"):
        raise Finished(path, reason)
    raise OutputError(f"{path}: {reason}")


def existing(path: Path, record: Record) -> str | None:
    """What is to be said of the result at `path`; None where there is none."""
    if not path.exists():
        return None
    made = read_record(path)
    if made is None:
        return f"exists and does not say what made it ({option('overwrite', True)} replaces it)"
    different = difference(made, record)
    if different is None:
        return f"exists ({option('overwrite', True)} replaces it)"
    return f"{different} stands there; {option('overwrite', True)} replaces it, {option('suffix')} keeps both"


__all__ = ["Busy", "Claims", "Finished", "check_existing", "check_place", "claim", "existing"]
