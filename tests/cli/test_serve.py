"""`fourfold serve`: what its options take; the service itself is tested in `tests/server`."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

pytest.importorskip("fastapi")

from fourfold.cli.main import app
from fourfold.server.settings import Settings


@pytest.fixture
def settings(monkeypatch) -> list[Settings]:
    """What the service is started with."""
    seen: list[Settings] = []
    monkeypatch.setattr("fourfold.server.run.serve", lambda given, **_: seen.append(given))
    return seen


def test_sizes_and_times_are_said_as_people_say_them(settings, tmp_path) -> None:
    command = ["serve", "--data-dir", str(tmp_path), "--max-upload", "200MB", "--keep", "7d"]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert (settings[0].max_upload, settings[0].keep_hours) == (200_000_000, 168)
    assert (settings[0].data, settings[0].host) == (tmp_path, "127.0.0.1")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--keep", "soon"], "--keep: want a time such as 30m, 24h or 7d, got 'soon'"),
        (["--keep", "0h"], "--keep: want a time"),
        (["--max-upload", "much"], "--max-upload: want a size"),
        (["--max-stored", "0"], "--max-stored: want more than 0"),
        (["--host", "0.0.0.0"], "--token"),
    ],
)
def test_wrong_values_are_one_line(settings, options, said) -> None:
    result = CliRunner().invoke(app, ["serve", *options])
    assert said in str(result.exception or result.output)
    assert settings == []
