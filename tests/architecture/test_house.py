"""The house stays in order: sizes, names, public surface."""

from __future__ import annotations

import ast
import importlib
import json
import re
from pathlib import Path

import pytest

from fourfold.errors import INSTALL, MissingExtra

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "src" / "fourfold").rglob("*.py"))
DUMPING_GROUNDS = {"utils.py", "util.py", "helpers.py", "common.py", "misc.py", "base_model.py"}
FILE_LINES, FUNCTION_LINES = 400, 60


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT / "src")))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES
    assert path.name not in DUMPING_GROUNDS
    commands = path.parent.name == "cli"  # a command's options are its signature
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            start = node.body[0].lineno if commands else node.lineno
            length = (node.end_lineno or start) - start + 1
            assert length <= FUNCTION_LINES, f"{node.name} has {length} lines"


def test_public_names_are_pinned() -> None:
    pinned = json.loads((Path(__file__).parent / "api.json").read_text(encoding="utf-8"))
    for module, names in pinned.items():
        assert sorted(importlib.import_module(module).__all__) == names
        for name in names:
            assert hasattr(importlib.import_module(module), name)


def test_no_text_names_a_package_that_is_on_no_index() -> None:
    # pyproject.toml may: there pip finds the package in the same folder.
    texts = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "ARCHITECTURE.md")]
    for folder in ("src", "docs", "benchmarks", "scripts", "demo"):
        texts += [p for p in (ROOT / folder).rglob("*") if p.suffix in {".py", ".md", ".toml"}]
    naming = [p for p in texts if re.search(r"fourfold\[", p.read_text(encoding="utf-8"))]
    assert naming == []


def test_a_missing_extra_is_installed_from_the_checkout() -> None:
    assert INSTALL.format(extra="train") in str(MissingExtra("training", "train"))
    installing = {p.name for p in SOURCES if "pip install" in p.read_text(encoding="utf-8")}
    assert installing == {"errors.py"}


def test_decisions_are_numbered_once() -> None:
    numbers = [path.name[:4] for path in (ROOT / "docs" / "decisions").glob("*.md")]
    assert len(numbers) == len(set(numbers))
