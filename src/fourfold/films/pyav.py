"""PyAV, imported once it is needed; its absence names the extra."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from fourfold.errors import MissingExtra


def load_av() -> Any:
    """The `av` module; `MissingExtra` when PyAV is not installed."""
    # SVT-AV1 writes a banner to stderr for every encoder unless told otherwise beforehand.
    os.environ.setdefault("SVT_LOG", "1")
    try:
        import av
    except ImportError as error:
        raise MissingExtra("video", "video") from error
    return av


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Undo what an encoder does to the priority of this process while it is opened.

    SVT-AV1 puts its threads into Linux's real-time class where it may (as root, so in most
    containers), and with them the thread that opened it and all that this one starts later:
    everything else on the machine, other processes too, then waits for this process.
    """
    try:
        yield
    finally:
        if sys.platform == "linux" and os.sched_getscheduler(0) != os.SCHED_OTHER:
            for thread in Path("/proc/self/task").iterdir():
                with suppress(OSError):  # ended meanwhile
                    os.sched_setscheduler(int(thread.name), os.SCHED_OTHER, os.sched_param(0))


def reason(error: BaseException) -> str:
    """What FFmpeg says, without PyAV's error number and file name."""
    text = str(getattr(error, "strerror", None) or error)
    log = getattr(error, "log", None)
    return f"{text}: {str(log[2]).strip()}" if log else text


__all__ = ["load_av", "ordinary_priority", "reason"]
