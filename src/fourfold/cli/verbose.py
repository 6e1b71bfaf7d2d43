"""`-v`: what is read, chosen and written, on stderr."""

from __future__ import annotations

from typing import Any, Final

import typer

from fourfold.logs import show_logs


def _show(wanted: bool) -> bool:
    if wanted:
        show_logs("debug")
    return wanted


VERBOSE: Final[Any] = typer.Option(
    False,
    "-v",
    "--verbose",
    callback=_show,
    is_eager=True,
    help="Say what is read, chosen, written.",
)
"""The option of each command that works on files, and of `fourfold` itself."""

__all__ = ["VERBOSE"]
