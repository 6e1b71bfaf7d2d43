"""All backends compute the same network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.engine.network import network_of_graph
from fourfold.errors import ModelError, UsageError
from fourfold.pictures.images import read_pixels
from fourfold.runtimes.openvino import cpu_precisions
from fourfold.runtimes.select import choose
from fourfold.weights.zoo import get_model
from tests.models import plain_network, small_tiles, tiny_model

CHELSEA = Path(__file__).parents[2] / "demo" / "chelsea.png"
LR = np.random.default_rng(0).random((40, 52, 3)).astype(np.float32)


@pytest.mark.parametrize("backend", ["onnxruntime", "torch"])
@pytest.mark.parametrize("model", ["srgan-x4", "tiny"])
def test_backends_agree_in_fp32(backend: str, model: str) -> None:
    pytest.importorskip(backend)
    loaded = get_model(model) if model != "tiny" else tiny_model(scale=8)
    reference = Upscaler(loaded, backend="openvino", precision="fp32").upscale(LR)
    other = Upscaler(loaded, backend=backend, device="cpu", precision="fp32").upscale(LR)
    assert np.abs(other - reference).max() < 1e-4


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_bf16_stays_close_and_unbiased(backend: str) -> None:
    if backend == "torch":
        pytest.importorskip("torch")
    elif "bf16" not in cpu_precisions():
        pytest.skip("this CPU has no bf16")
    options = {"consistency": False, "device": "cpu"}
    lr = read_pixels(CHELSEA)[:60, :80].astype(np.float32) / 255
    exact = Upscaler(backend="openvino", precision="fp32", **options).upscale(lr)
    half = Upscaler(backend=backend, precision="bf16", **options).upscale(lr)
    error = half - exact
    assert 10 * np.log10(1 / np.mean(error**2)) > 55
    assert abs(error.mean()) * 255 < 0.1


def test_exported_onnx_runs_with_the_same_halo_and_result(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from fourfold.export.onnx import export_onnx

    model = tiny_model()
    assert export_onnx(model, tmp_path / "m.onnx") < 1e-5
    up = small_tiles(Upscaler(tmp_path / "m.onnx", precision="fp32"), 9)
    ours = Upscaler(model, precision="fp32")
    assert up.network.halo == ours.network.whole.traits.radius
    np.testing.assert_allclose(up.upscale(LR), ours.upscale(LR), atol=1e-5)


def test_a_file_that_is_not_onnx_is_refused(tmp_path: Path) -> None:
    (tmp_path / "m.onnx").write_bytes(b"nonsense")
    with pytest.raises(ModelError, match="want an ONNX model"):
        Upscaler(tmp_path / "m.onnx")


def test_torch_in_bf16_gives_more_than_8_bits_without_a_tanh() -> None:
    pytest.importorskip("torch")
    network = network_of_graph(*plain_network(), name="plain", sha256="")
    ramp = np.tile(np.linspace(0, 1, 300, dtype=np.float32)[None, :, None], (12, 1, 3))
    options = {"backend": "torch", "device": "cpu", "consistency": False}
    exact = Upscaler(network, precision="fp32", **options).upscale(ramp)
    half = Upscaler(network, precision="bf16", **options).upscale(ramp)
    assert 10 * np.log10(1 / np.mean((half - exact) ** 2)) >= 48
    for channel in range(3):
        assert len(np.unique((half[..., channel] * 255).round())) >= 200
        assert len(np.unique(half[..., channel])) > 2000  # bf16 has about 400 in this range


def test_auto_explains_itself() -> None:
    choice = choose()
    assert choice.backend in ("openvino", "torch")
    assert choice.precision in choice.why
    with pytest.raises(UsageError, match="backend: want auto, openvino"):
        choose(backend="vulkan")


def test_threads_are_limited() -> None:
    from fourfold.runtimes import openvino

    before = openvino._core().get_property("CPU", "INFERENCE_NUM_THREADS")
    try:
        openvino.limit_threads(1)
        assert openvino._core().get_property("CPU", "INFERENCE_NUM_THREADS") == 1
    finally:
        openvino._core().set_property("CPU", {"INFERENCE_NUM_THREADS": before})
