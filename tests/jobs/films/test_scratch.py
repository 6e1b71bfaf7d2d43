"""The work folder of a film."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("av")
from fourfold.errors import OutputError
from fourfold.files.paths import atomic_path
from fourfold.jobs.films.scratch import open_scratch


def test_a_full_disk_is_said_of_the_film_and_not_of_its_segments(tmp_path: Path) -> None:
    output = tmp_path / "film.mp4"
    with (
        pytest.raises(OutputError) as caught,
        open_scratch(output, "k", {}) as scratch,
        atomic_path(scratch.folder / "000000.seg"),
    ):
        raise OSError(27, "File too large")
    assert str(caught.value) == f"{output}: cannot write (File too large)"
    assert list(tmp_path.iterdir()) == []
