"""Factors that no network has: how often it runs, and what comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips

from fourfold import Request, run
from fourfold.jobs.size import passes, work
from tests.made_pictures import Nearest, enlarged, image


@pytest.mark.parametrize(
    ("factor", "network", "sizes"),
    [
        (4, 4, [4]),
        (2, 4, [2]),
        (5.9, 4, [5.9]),
        (6, 4, [1.5, 6]),
        (8, 4, [2, 8]),
        (16, 4, [4, 16]),
        (16, 2, [2, 4, 8, 16]),
        (8, 1, [8]),
    ],
)
def test_a_network_runs_again_where_much_is_left(
    factor: float, network: int, sizes: list[float]
) -> None:
    wanted = round(60 * factor), round(40 * factor)
    found = passes((60, 40), wanted, network)
    assert found == [(round(60 * size), round(40 * size)) for size in sizes]
    assert work((60, 40), wanted, network) == 2400 * sum(size**2 for size in (1, *sizes[:-1]))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("max_memory", [10**9, 1000])
def test_three_runs_of_two_are_eight(tmp_path: Path, channels: int, max_memory: int) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 13, channels), np.uint8)
    if channels in (2, 4):
        pixels[..., -1] = 255
    image(pixels).write_to_file(str(tmp_path / "a.png"))
    nearest = Nearest(2, tile=16, max_memory=max_memory)
    _, result = enlarged(tmp_path / "a.png", tmp_path, upscaler=nearest, scale=8)
    assert nearest.channels == [channels] * 3
    repeated = pixels.repeat(8, axis=0).repeat(8, axis=1)
    np.testing.assert_array_equal(result.numpy().reshape(repeated.shape), repeated)


def test_every_page_keeps_its_place(tmp_path: Path) -> None:
    pages = [np.full((8, 10, 3), value, np.uint8) for value in (10, 200)]
    tall = pyvips.Image.arrayjoin([image(page) for page in pages], across=1)
    tall.set_type(pyvips.GValue.gint_type, "page-height", 8)
    tall.tiffsave(str(tmp_path / "a.tif"))
    told: list[float | None] = []
    outcome = run(
        Request(source=tmp_path / "a.tif", scale=8.0),
        upscaler=Nearest(4),
        progress=lambda now: told.append(now.share),
    )
    assert (outcome.size, outcome.pages, told[-1]) == ((80, 64), 2, 1.0)
    result = pyvips.Image.new_from_file(str(outcome.path), n=-1).numpy()
    assert (result[:64] == 10).all()
    assert (result[64:] == 200).all()
