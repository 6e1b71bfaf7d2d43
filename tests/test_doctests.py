"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib

import pytest

MODULES = [
    "fourfold.cli.argv",
    "fourfold.datasets.window_store",
    "fourfold.runtimes.bf16",
    "fourfold.engine.memory",
    "fourfold.engine.tiles",
    "fourfold.imaging.arrays",
    "fourfold.imaging.color",
    "fourfold.imaging.resize",
    "fourfold.imaging.turns",
    "fourfold.metrics.drift",
    "fourfold.metrics.psnr",
    "fourfold.weights.inference_form",
]


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted
    assert not result.failed
