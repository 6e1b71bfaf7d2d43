"""A test that waits for a process or a thread says for how long."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def waits_for_ever(call: ast.Call) -> bool:
    """`subprocess.run(…)`, `x.wait()`, `x.communicate()` or `x.join()` without a timeout."""
    if not isinstance(call.func, ast.Attribute):
        return False
    owner, name = call.func.value, call.func.attr
    of_subprocess = isinstance(owner, ast.Name) and owner.id == "subprocess"
    if name in ("run", "check_output", "check_call"):
        waits = of_subprocess
    else:
        waits = name in ("communicate", "wait", "join") and not call.args
    # `**options` may hold one.
    return waits and not any(keyword.arg in ("timeout", None) for keyword in call.keywords)


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda p: p.stem)
def test_waiting_has_an_end(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    assert [f"line {call.lineno}" for call in calls if waits_for_ever(call)] == []
