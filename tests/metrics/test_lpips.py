"""LPIPS is optional: what it says when it cannot be used, and what it feeds its network."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from fourfold.errors import BackendError, MissingExtra, UsageError
from fourfold.metrics.lpips import load_lpips


def test_another_net_is_refused():
    with pytest.raises(UsageError, match="want one of alex, vgg"):
        load_lpips("squeeze")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "lpips", None)
    with pytest.raises((MissingExtra, BackendError), match="LPIPS"):
        load_lpips()


def test_a_backbone_that_does_not_load_is_one_line(monkeypatch):
    def broken(**_):
        raise RuntimeError("no weights\nand a long story")

    monkeypatch.setitem(sys.modules, "lpips", types.SimpleNamespace(LPIPS=broken))
    with pytest.raises(BackendError, match=r"does not load \(no weights\)"):
        load_lpips("vgg")


def test_pictures_arrive_in_minus_one_to_one(monkeypatch):
    torch = pytest.importorskip("torch")
    seen = []

    class Network:
        def __init__(self, **options):
            assert options == {"net": "alex", "version": "0.1", "verbose": False}

        def eval(self):
            return self

        def __call__(self, sr, hr):
            seen.extend([sr, hr])
            return torch.tensor([[[[0.25]]]])

    monkeypatch.setitem(sys.modules, "lpips", types.SimpleNamespace(LPIPS=Network))
    white = np.full((8, 9, 3), 255, np.uint8)
    assert load_lpips("alex")(white, np.zeros_like(white)) == 0.25
    assert [(tuple(t.shape), t.unique().item()) for t in seen] == [
        ((1, 3, 8, 9), 1.0), ((1, 3, 8, 9), -1.0),
    ]  # fmt: skip
