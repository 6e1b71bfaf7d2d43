"""Several values after one option."""

from __future__ import annotations

import pytest

from fourfold.cli.argv import expand_several_values

CASES = [
    ("evaluate -n a b --data x y --json", "evaluate -n a -n b --data x --data y --json"),
    ("evaluate -n a -n b --data x", "evaluate -n a -n b --data x"),
    ("evaluate --model=a b", "evaluate --model=a --model b"),
    ("evaluate --data x y --report r.html", "evaluate --data x --data y --report r.html"),
    ("evaluate --report r.html --data x", "evaluate --report r.html --data x"),
    ("evaluate -n a b -- c", "evaluate -n a -n b -- c"),
    ("train --set a=1 b=2 tiny", "train --set a=1 --set b=2 tiny"),
    ("train tiny --set a=1 b=2 --resume", "train tiny --set a=1 --set b=2 --resume"),
    ("train --set a=-1 tiny", "train --set a=-1 tiny"),
    ("upscale -n a b c", "upscale -n a b c"),
    ("--version", "--version"),
    ("", ""),
]


@pytest.mark.parametrize(("given", "want"), CASES)
def test_options_are_repeated_for_each_value(given, want):
    assert expand_several_values(given.split()) == want.split()
