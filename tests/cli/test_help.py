"""The help of `upscale` fits on two screens and begins with what to type."""

from __future__ import annotations

import inspect
import re

import pytest

from fourfold.cli.main import run
from fourfold.cli.upscale import upscale

GROUPS = ["Arguments", "Options", "Size and format", "Quality", "Machine", "Films", "Many machines"]


@pytest.fixture
def page(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> str:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERMINAL_WIDTH", "80")
    assert run(["upscale", "--help"]) == 0
    return capsys.readouterr().out


def test_it_is_short_and_in_groups(page: str) -> None:
    lines = page.splitlines()
    assert len(lines) < 90
    assert max(map(len, lines)) <= 80
    assert re.findall(r"╭─ ([A-Z][a-z ]+) ─", page) == GROUPS


def test_examples_come_first(page: str) -> None:
    assert page.index("fourfold upscale photo.jpg") < page.index("--output")
    assert page.count("\n fourfold upscale ") == 5


def test_every_option_is_there(page: str) -> None:
    options = [parameter.default for parameter in inspect.signature(upscale).parameters.values()]
    names = [name for option in options for name in option.param_decls or ()]
    assert len(names) > 20
    for name in names:
        assert name.split("/")[0] in page
