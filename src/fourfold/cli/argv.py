"""Options that take several values after one name: `--data A B` means `--data A --data B`.

Click options take a fixed number of values; the command line is rewritten before it sees it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

Continues = Callable[[str], bool]
"""Whether a word belongs to the option before it, rather than being an argument of its own."""


def _any_word(word: str) -> bool:
    return bool(word)


def _assignment(word: str) -> bool:
    return "=" in word


SEVERAL_VALUES: Final[Mapping[str, Mapping[str, Continues]]] = {
    "evaluate": dict.fromkeys(("-n", "--model", "--data", "-d", "--film"), _any_word),
    "train": {"--set": _assignment},
    "distill": {"--data": _any_word, "-d": _any_word, "--set": _assignment},
}
"""Per command: options that may be followed by several values, and what a value looks like."""


def expand_several_values(arguments: Sequence[str]) -> list[str]:
    """Repeat the option's name before each further value.

    >>> expand_several_values(["evaluate", "-n", "a", "b", "--json"])
    ['evaluate', '-n', 'a', '-n', 'b', '--json']
    >>> expand_several_values(["train", "--set", "a=1", "b=2", "tiny"])
    ['train', '--set', 'a=1', '--set', 'b=2', 'tiny']
    """
    command = next((word for word in arguments if not word.startswith("-")), "")
    options = SEVERAL_VALUES.get(command, {})
    expanded: list[str] = []
    option, given = "", 0
    for position, word in enumerate(arguments):
        if word == "--":
            return expanded + list(arguments[position:])
        name, equals, _ = word.partition("=")
        if word.startswith("-") and word != "-":
            option, given = (name, int(bool(equals))) if name in options else ("", 0)
        elif option:
            if given and not options[option](word):
                option = ""
            elif given:
                expanded.append(option)
            given += 1
        expanded.append(word)
    return expanded


__all__ = ["SEVERAL_VALUES", "expand_several_values"]
