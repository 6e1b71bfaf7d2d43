"""Write-then-rename: an output exists whole or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fourfold.errors import OutputError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a hidden path beside `path` to write to; rename it over `path` on success.

    The part file keeps the suffix, since writers choose the format by it. On any exception,
    Ctrl-C included, it is removed. `OutputError` for what the file system refuses.
    """
    part = path.with_name(f".{path.stem[:40]}.{secrets.token_hex(4)}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield part
        _flush_to_disk(part)
        os.replace(part, path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror or error})") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    """Make the content durable before the rename, so a power cut cannot leave an empty file."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
