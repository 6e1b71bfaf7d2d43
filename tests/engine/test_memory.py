"""Memory budgets become tile sizes."""

from __future__ import annotations

import pytest

from fourfold.engine.memory import parse_memory, plan_tile
from fourfold.engine.network import load_network
from fourfold.engine.tiles import Box
from fourfold.errors import UsageError


def test_more_memory_never_means_smaller_tiles() -> None:
    network = load_network("srgan-x4")
    picture = Box(0, 5000, 0, 5000)
    tiles = [
        plan_tile(network, picture, picture, halo=44, budget=parse_memory(text))
        for text in ("300MB", "600MB", "1GB", "2GB", "16GB")
    ]
    assert tiles == sorted(tiles)
    assert tiles[0] < tiles[-1]


@pytest.mark.parametrize("text", ["", "lots", "-1GB", "0", "10", "299MB", "9" * 400, "1XB", "GB"])
def test_sizes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(UsageError, match="max_memory: want"):
        parse_memory(text)
