"""A network from bytes to bytes gives what the general path gives."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fourfold.engine.network import Network, network_of, network_of_graph
from fourfold.engine.upscaler import Upscaler
from fourfold.imaging.resize import imresize
from fourfold.runtimes.openvino import cpu_precisions
from fourfold.runtimes.pixel_ops import bicubic_taps
from fourfold.runtimes.pixels import takes_pixels
from fourfold.weights.graph import Add, Graph, Resize, Shuffle, Tanh
from tests.models import plain_network, tiny_model


def network(*, base: bool = False, scale: int = 4) -> Network:
    graph, tensors = plain_network(scale=scale)
    if base:
        *body, shuffle = graph.nodes
        assert isinstance(shuffle, Shuffle)
        tensors = {n: t * (0.3 if n.startswith("conv2") else 1) for n, t in tensors.items()}
        tail = (
            Shuffle(shuffle.inputs, "residual", scale),
            Resize(("lr",), "base", "nearest", Fraction(scale)),
            Add(("residual", "base"), "sr"),
        )
        graph = Graph(("lr",), ("sr",), (*body, *tail))
    return network_of_graph(graph, tensors, name="plain", sha256="0")


def picture(shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Smooth and noisy, with clipped places at the edge."""
    rng = np.random.default_rng(seed)
    small = rng.random((4, 4, *shape[2:]))
    return np.uint8(
        np.clip(imresize(small, size=shape[:2]) * 300 - 30 + rng.normal(0, 9, shape), 0, 255)
    )


def general(net: Network, monkeypatch: pytest.MonkeyPatch, **options: object) -> Upscaler:
    """The same network the long way round."""
    monkeypatch.setattr("fourfold.engine.windows.takes_pixels", lambda _: False)
    up = Upscaler(net, **options)  # type: ignore[arg-type]
    assert not up._runs_pixels()
    return up


@pytest.mark.parametrize("base", [False, True])
@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("consistency", [False, True])
def test_fp32_equals_the_general_path(
    base: bool, scale: int, channels: int, consistency: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = network(base=base, scale=scale)
    up = Upscaler(net, precision="fp32", consistency=consistency)
    assert up._runs_pixels()
    for shape in ((37, 52, channels), (9, 6, channels)):
        now = up.upscale(picture(shape))
        assert now.shape == (shape[0] * scale, shape[1] * scale, channels)
        with monkeypatch.context() as patch:
            wanted = general(net, patch, precision="fp32", consistency=consistency).upscale(
                picture(shape)
            )
        assert np.abs(now.astype(int) - wanted).max() <= 1
        assert (now != wanted).mean() < 0.02


@pytest.mark.skipif("bf16" not in cpu_precisions(), reason="this CPU has no bf16")
@pytest.mark.parametrize("channels", [1, 3])
def test_bf16_is_about_as_exact_as_the_general_path(
    channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Far more exact where the residual is small, as it is in trained networks."""
    net, lr = network(base=True), picture((60, 80, channels))
    exact = Upscaler(net, precision="fp32").upscale(lr).astype(int)
    now = Upscaler(net, precision="bf16").upscale(lr)
    usual = general(net, monkeypatch, precision="bf16").upscale(lr)
    assert np.abs(now - exact).mean() <= np.abs(usual - exact).mean() + 0.05
    assert np.abs(now - exact).max() <= 2


def test_tiles_and_lanes_equal_the_whole() -> None:
    net, lr = network(base=True), picture((90, 70, 3))
    up = Upscaler(net, precision="fp32")
    several = up.for_frames(90, 70)
    tiled = Upscaler(net, precision="fp32", tile=40)
    assert several.lanes > 1 or several is up
    for other in (several, tiled):
        assert np.abs(other.upscale(lr).astype(int) - up.upscale(lr)).max() <= 1


def test_neutral_pictures_stay_neutral() -> None:
    lr = np.repeat(picture((20, 30, 1)), 3, axis=2)
    sr = Upscaler(network(), precision="fp32").upscale(lr)
    assert (sr == sr[..., :1]).all()


def test_other_networks_go_the_general_way() -> None:
    graph, tensors = plain_network()
    bent = Graph(("lr",), ("bent",), (*graph.nodes, Tanh(("sr",), "bent")))
    luma, of_luma = plain_network(channels=1)
    assert takes_pixels(network().whole)
    assert not takes_pixels(network_of_graph(bent, tensors, name="t", sha256="0").whole)
    assert not takes_pixels(network_of_graph(luma, of_luma, name="t", sha256="0").whole)
    assert not takes_pixels(network_of(tiny_model()).whole)
    for options in ({"tta": True}, {"backend": "onnxruntime"}):
        assert not Upscaler(network(), **options)._runs_pixels()  # type: ignore[arg-type]


def test_other_types_and_transparency_go_the_general_way() -> None:
    up = Upscaler(network(), precision="fp32")
    lr = picture((12, 12, 4))
    assert up.upscale(lr).shape == (48, 48, 4)
    assert up.upscale(lr[..., :3].astype(np.uint16) * 257).dtype == np.uint16


@pytest.mark.parametrize("scale", [2, 3, 4, 8])
def test_taps_are_those_of_imresize(scale: int) -> None:
    down, up = bicubic_taps(scale)
    line = np.random.default_rng(0).random((1, 9))
    small = imresize(np.repeat(line, scale, 1), size=(1, 9))
    cells = down.sum(axis=0)
    assert small[0, 4] == pytest.approx(cells @ line[0, 2:7], abs=1e-6)
    large = imresize(line, size=(1, 9 * scale))
    assert np.allclose(large[0, 4 * scale : 5 * scale], up @ line[0, 2:7], atol=1e-6)
