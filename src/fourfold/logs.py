"""The package's log lines on stderr, for the command (`-v`) and for programs (`FOURFOLD_LOG`)."""

from __future__ import annotations

import logging
import os
import sys
from typing import Final, TextIO

from fourfold.errors import UsageError

VARIABLE: Final = "FOURFOLD_LOG"
_LEVELS: Final = ("debug", "info", "warning", "error")


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is now: a progress bar on a terminal takes its place."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:  # type: ignore[override]
        """Standard error."""
        return sys.stderr


def show_logs(level: str) -> None:
    """Show log lines of `level` (debug, info, warning, error) and above on stderr.

    Once asked for, what was asked first is only ever widened. Raises `UsageError`.
    """
    if level.lower() not in _LEVELS:
        raise UsageError(f"{VARIABLE}: want {', '.join(_LEVELS)}, got {level!r}")
    logger = logging.getLogger("fourfold")
    wanted = logging.getLevelNamesMapping()[level.upper()]
    if not any(isinstance(handler, _StandardError) for handler in logger.handlers):
        handler = _StandardError()
        handler.setFormatter(logging.Formatter("%(relativeCreated)8d ms %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.setLevel(wanted)
    logger.setLevel(min(logger.level, wanted))


def show_logs_as_the_environment_says() -> None:
    """Heed `FOURFOLD_LOG`; `UsageError` for a level there is not."""
    level = os.environ.get(VARIABLE)
    if level:
        show_logs(level)


__all__ = ["VARIABLE", "show_logs", "show_logs_as_the_environment_says"]
