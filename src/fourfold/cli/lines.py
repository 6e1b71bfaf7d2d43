"""Lines of text or JSON for any file name, also one that is no text."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any


def json_line(value: Any) -> str:
    """JSON on one line, in UTF-8 where it can be: names that are no UTF-8 become escapes."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # bytes of a file name, which Python keeps as lone surrogates
        text = json.dumps(value)
    return text


def one_line(text: str) -> str:
    """Line breaks, and bytes that are no text, shown as escapes."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")


def by_models(counts: Mapping[str, int]) -> str:
    """How many inputs each model was taken for.

    >>> by_models({"srgan-x4": 12, "srgan-photo-x4": 3})
    '12 by srgan-x4, 3 by srgan-photo-x4'
    """
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{count} by {model}" for model, count in ordered)


def list_failures(failures: list[str], *, total: int) -> None:
    """All that failed, at the end where it is seen."""
    if len(failures) > 1:
        print(f"fourfold: {len(failures)} of {total} failed:", file=sys.stderr)
    for reason in failures:
        print(one_line(f"fourfold: {reason}"), file=sys.stderr)


__all__ = ["by_models", "json_line", "list_failures", "one_line"]
