"""PyAV, imported once it is needed; its absence names the extra."""

from __future__ import annotations

import os
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


def reason(error: BaseException) -> str:
    """What FFmpeg says, without PyAV's error number and file name."""
    text = str(getattr(error, "strerror", None) or error)
    log = getattr(error, "log", None)
    return f"{text}: {str(log[2]).strip()}" if log else text


__all__ = ["load_av", "reason"]
