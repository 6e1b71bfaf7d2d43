"""The commands and programs of the pages people read: README, the first page, tutorials, guides."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    DOCS / "index.md",
    *sorted(DOCS.glob("tutorials/*.md")),
    *sorted(DOCS.glob("guides/*.md")),
]
_FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.M | re.S)
_COMMAND = re.compile(r"""(?:^|[\s"'])fourfold (?=-*[a-z])(.*)""")
"""A command line also stands within others: `torchrun … -m fourfold train`, `sh -c 'fourfold …'`."""


def name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def programs(page: Path) -> list[str]:
    """The Python of a page, block by block."""
    return [text for kind, text in _FENCE.findall(_read(page)) if kind == "python"]


def commands(page: Path) -> list[str]:
    """Lines of the page's blocks that hold a command, in their order, each on one line."""
    lines = [
        line
        for kind, text in _FENCE.findall(_read(page))
        if kind != "python"
        for line in re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    ]
    return [line for line in lines if _COMMAND.search(line)]


def in_sentences(page: Path) -> list[str]:
    """Commands that stand within sentences and tables."""
    return [" ".join(span.split()) for span in _spans(page) if span.startswith("fourfold ")]


def options(page: Path) -> set[str]:
    """Long options that sentences and tables name by themselves."""
    return {
        found
        for span in _spans(page)
        if not _COMMAND.search(span)
        for found in re.findall(r"(?:^|\s)(--[a-z][\w-]+)", span)
    }


def words(line: str) -> list[str]:
    """What the shell gives fourfold of a line: no comment, no redirection, nothing of what is around."""
    found = _COMMAND.search(line)
    assert found is not None, line
    text = re.split(r"\s{3,}|\s#", found[1].strip())[
        0
    ]  # explanations stand in a column of their own
    before = line[: found.start(1)]
    for quote in "'\"":
        if before.count(quote) % 2:
            text = text[: text.rindex(quote)]
    lexer = shlex.shlex(text, posix=True, punctuation_chars="|<>")
    lexer.whitespace_split = True
    return list(_until_redirected(lexer))


def _until_redirected(lexer: Iterator[str]) -> Iterator[str]:
    for word in lexer:
        if set(word) <= set("|<>"):
            return
        yield word


def _read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def _spans(page: Path) -> list[str]:
    return re.findall(r"`([^`]+)`", _FENCE.sub("", _read(page)))
