"""Programs of every kind behind one `Upscaler`."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.engine.network import BLEND_HALO, Network, make_network, network_of_graph
from fourfold.errors import UsageError
from fourfold.runtimes.program import SizeRule, TorchProgram, Traits
from tests.models import plain_network, small_tiles

LR = np.random.default_rng(0).integers(0, 256, (45, 58, 3), np.uint8)


def torch_network(*, sizes: SizeRule | None = None, radius: int | None = 2) -> Network:
    """A small torch module of x2."""
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    nn = torch.nn
    module = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 8, 1),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.PixelShuffle(2),
        nn.Sigmoid(),
    )
    traits = Traits(scale=2, radius=radius, floats_per_pixel=24, sizes=sizes or SizeRule())
    return make_network(TorchProgram(module, traits), name="theirs", sha256="0")


def test_a_torch_module_is_tiled_exactly_and_runs_on_torch_only() -> None:
    network = torch_network()
    up = small_tiles(Upscaler(network, precision="fp32"), 16)
    assert up.choice.backend == "torch"
    whole = Upscaler(network, precision="fp32").upscale(LR)
    assert np.abs(up.upscale(LR).astype(int) - whole).max() <= 1
    with pytest.raises(UsageError, match="runs on torch only"):
        Upscaler(network, backend="openvino")


def test_a_torch_module_in_bf16_stays_close_and_is_left_as_it_was() -> None:
    network = torch_network()
    options = {"device": "cpu", "consistency": False}
    picture = LR.astype(np.float32) / 255
    exact = Upscaler(network, precision="fp32", **options).upscale(picture)
    half = Upscaler(network, precision="bf16", **options).upscale(picture)
    assert 10 * np.log10(1 / np.mean((half - exact) ** 2)) >= 48
    assert len(np.unique(half)) > 4000
    assert np.array_equal(Upscaler(network, precision="fp32", **options).upscale(picture), exact)


@pytest.mark.parametrize("rule", [{"multiple": 8}, {"minimum": 60}, {"square": True}])
def test_windows_obey_the_rule_of_sizes(rule: dict[str, int]) -> None:
    network = torch_network(sizes=SizeRule(**rule))
    sizes = network.whole.traits.sizes
    seen = []
    network.whole.module.register_forward_pre_hook(lambda _, x: seen.append(x[0].shape[2:]))
    for tile in (12, 4096):
        up = small_tiles(Upscaler(network, precision="fp32"), tile)
        assert up.upscale(LR).shape == (90, 116, 3)
        assert up.upscale(LR[:1, :2, 0]).shape == (2, 4)
    assert seen
    assert all(sizes.fit(*shape) == tuple(shape) for shape in seen)


def test_networks_that_look_too_far_are_blended() -> None:
    near, far = torch_network(radius=96), torch_network(radius=97)
    assert near.halo == 96
    assert not near.blended
    assert far.halo == BLEND_HALO
    assert far.blended
    lr = np.random.default_rng(1).integers(0, 256, (150, 170, 4), np.uint8)
    exact = Upscaler(torch_network(), precision="fp32").upscale(lr)
    for options in ({}, {"tta": True}):
        up = Upscaler(far, precision="fp32", tile=64, **options)
        sr = up.upscale(lr)
        assert sr.shape == exact.shape
        if not options:  # it looks 2 pixels far in truth, so blending changes nothing
            assert np.abs(sr.astype(int) - exact).max() <= 1


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_graphs_of_every_scale_are_tiled_exactly(scale: int) -> None:
    network = network_of_graph(*plain_network(scale=scale), name="plain", sha256="0")
    whole, tiled = (
        small_tiles(Upscaler(network, precision="fp32"), tile).upscale(LR) for tile in (4096, 15)
    )
    assert whole.shape == (45 * scale, 58 * scale, 3)
    assert np.abs(tiled.astype(int) - whole).max() <= 1


def test_a_network_is_cut_only_where_that_saves_memory() -> None:
    slim, wide = (network_of_graph(*plain_network(width=w), name="", sha256="") for w in (4, 32))
    assert len(slim.parts) == 2
    assert len(wide.parts) == 1


def test_at_scale_1_consistency_does_not_undo_the_network() -> None:
    network = network_of_graph(*plain_network(scale=1), name="plain", sha256="0")
    up = Upscaler(network, precision="fp32", consistency=True)
    assert not up.consistency
    assert not np.array_equal(up.upscale(LR), LR)


def test_consistency_is_on_unless_said_otherwise() -> None:
    network = network_of_graph(*plain_network(), name="plain", sha256="0")
    assert Upscaler(network).consistency
    assert not Upscaler(network, consistency=False).consistency


def test_each_tile_is_told_and_a_stop_is_heeded_before_the_next() -> None:
    network = network_of_graph(*plain_network(scale=2), name="plain", sha256="0")
    up = small_tiles(Upscaler(network, precision="fp32"), 20)
    ticks: list[int] = []
    up.upscale(LR, tick=ticks.append)
    assert len(ticks) == 9
    assert sum(ticks) == 4 * 45 * 58
    stop = threading.Event()
    told: list[int] = []

    def halt(pixels: int) -> None:
        told.append(pixels)
        stop.set()

    with pytest.raises(InterruptedError):
        up.upscale(LR, tick=halt, stop=stop)
    assert len(told) == 1
