"""One exception tree. Every error says what was wanted, what came and what to do, in one line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

INSTALL: Final = "pip install '.[{extra}]'"
"""How an extra is installed, in a checkout; the one place to change when the package is on an index."""


def shown(text: str) -> str:
    """Text that holds a file's name as one harmless line: what cannot be printed is escaped.

    >>> shown("a\\nb")
    'a\\\\nb'
    """
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """The question after a word that is not known; None where no known one is near.

    >>> did_you_mean("tinny", ["tiny", "srgan_x4"])
    "did you mean 'tiny'?"
    """
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"did you mean {near[0]!r}?" if near else None


_ON_COMMAND_LINE: Final = {"target": "-o", "model": "-n"}
_COMMAND_LINES: Final[list[None]] = []
"""One for each command line that is running in this process."""


def option(name: str, value: object = None) -> str:
    """How messages call an argument: as Python does, or as the command line within its words.

    >>> option("max_memory"), option("tile", 4), option("overwrite", True)
    ('max_memory', 'tile=4', 'overwrite=True')
    >>> with command_line_words():
    ...     option("max_memory"), option("tile", 4), option("overwrite", True)
    ('--max-memory', '--tile 4', '--overwrite')
    """
    if not _COMMAND_LINES:
        return name if value is None else f"{name}={value!r}"
    words = _ON_COMMAND_LINE.get(name, f"--{name.replace('_', '-')}")
    return words if value is None or value is True else f"{words} {value}"


@contextmanager
def command_line_words() -> Iterator[None]:
    """Let this process name arguments as the command line does: in all threads, which it shares."""
    _COMMAND_LINES.append(None)
    try:
        yield
    finally:
        _COMMAND_LINES.pop()


class FourfoldError(Exception):
    """Base of everything this package raises on purpose; the CLI prints it as one line."""

    exit_code = 1
    """What the process returns: 1 = this input failed, 2 = the call itself was wrong."""

    def __init__(self, message: str = "") -> None:
        super().__init__(shown(message))


class UsageError(FourfoldError, ValueError):
    """The call cannot be carried out as written: a wrong option, name or combination."""

    exit_code = 2


class ConfigError(UsageError):
    """A setting is unknown, out of range or does not fit another one."""


class ModelNotFound(UsageError):
    """A model name or path that leads to no model."""


class MissingExtra(UsageError):
    """An optional package is not installed; the message names the extra that brings it."""

    def __init__(self, feature: str, extra: str) -> None:
        command = INSTALL.format(extra=extra)
        super().__init__(f"{feature} needs an extra; in the checkout of fourfold: {command}")
        self.extra = extra


class ImageContractError(FourfoldError, ValueError):
    """An array is not the image a function asks for."""


class InputError(FourfoldError):
    """A file could not be read as what it was taken for."""


class OutputError(FourfoldError):
    """A result could not be written."""


class ModelError(FourfoldError):
    """A weights file is damaged, of another architecture, or does not fit its description."""


class DataError(FourfoldError):
    """Training or evaluation data is missing, mismatched or unreadable."""


class TrainingError(FourfoldError):
    """A training run cannot go on."""


class DownloadError(FourfoldError):
    """A file could not be fetched or arrived different from what was promised."""


class BackendError(FourfoldError):
    """A runtime could not be used or failed while computing."""


class BackendOutOfMemory(BackendError):
    """The window does not fit in the device's memory; a smaller one may."""


__all__ = [
    "INSTALL",
    "BackendError",
    "BackendOutOfMemory",
    "ConfigError",
    "DataError",
    "DownloadError",
    "FourfoldError",
    "ImageContractError",
    "InputError",
    "MissingExtra",
    "ModelError",
    "ModelNotFound",
    "OutputError",
    "TrainingError",
    "UsageError",
    "command_line_words",
    "option",
]
