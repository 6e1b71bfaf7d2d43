"""Other people's ONNX files: scale, radius, sizes and cost are read off them, and obeyed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.errors import ModelError
from fourfold.runtimes.onnx_file import read_onnx
from fourfold.weights.to_onnx import build_onnx
from tests.models import plain_network, small_tiles, tiny_model

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

LR = np.random.default_rng(0).integers(0, 256, (41, 53, 3), np.uint8)


def saved(
    path: Path, nodes: list[Any], constants: dict[str, np.ndarray], *, kind: int = 0, out: int = 3
) -> Path:
    """A file of some operations from `input` to `output`, of 3 channels or `out`."""
    kind = kind or TensorProto.FLOAT
    ends = [
        helper.make_tensor_value_info(name, kind, [1, out, *size])
        for name, size in (("input", ("h", "w")), ("output", ("H", "W")))
    ]
    initializers = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], initializer=initializers)
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), str(path))
    return path


def node(kind: str, inputs: str, output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs.split(), [output], **attributes)


def conv(inner: int, out: int, side: int = 3, seed: int = 0) -> np.ndarray:
    spread = 1 / np.sqrt(inner * side * side)
    return np.random.default_rng(seed).normal(0, spread, (out, inner, side, side)).astype("f4")


def plain_file(path: Path, **options: Any) -> Path:
    path.write_bytes(build_onnx(*plain_network(**options)).SerializeToString())
    return path


def tiled_equals_whole(path: Path, tile: int = 16, **options: Any) -> np.ndarray:
    whole, tiled = (
        small_tiles(Upscaler(path, precision="fp32", **options), t).upscale(LR)
        for t in (4096, tile)
    )
    assert np.abs(tiled.astype(int) - whole).max() <= 1
    return whole


@pytest.mark.parametrize("scale", [1, 2, 3, 4, 8])
def test_every_scale_is_tiled_exactly(tmp_path: Path, scale: int) -> None:
    path = plain_file(tmp_path / "m.onnx", scale=scale)
    assert tiled_equals_whole(path).shape == (41 * scale, 53 * scale, 3)


def test_what_is_read_off_a_file_equals_what_the_graph_says(tmp_path: Path) -> None:
    model = tiny_model()
    (tmp_path / "m.onnx").write_bytes(build_onnx(model.graph, model.tensors).SerializeToString())
    found = read_onnx(tmp_path / "m.onnx")
    traits, graph = found.whole.traits, model.graph
    assert traits.radius == graph.halo(model.tensors)
    assert traits.flops_per_pixel == graph.flops(model.tensors)
    assert traits.floats_per_pixel == pytest.approx(graph.live_floats(model.tensors), rel=0.1)
    for ours, theirs in zip(graph.split(), found.parts, strict=True):
        assert theirs.traits.radius == ours.halo(model.tensors)
        assert theirs.traits.scale == ours.scale


def test_a_foreign_file_run_in_parts_equals_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from fourfold.engine import windows

    model = tiny_model()
    (tmp_path / "m.onnx").write_bytes(build_onnx(model.graph, model.tensors).SerializeToString())
    whole = Upscaler(tmp_path / "m.onnx", precision="fp32").upscale(LR)
    monkeypatch.setattr(windows, "WHOLE_SIDE", 1)
    monkeypatch.setattr(windows, "UPSAMPLER_SIDE", 11)
    up = Upscaler(tmp_path / "m.onnx", precision="fp32")
    assert len(up.network.parts) == 2
    assert np.abs(up.upscale(LR).astype(int) - whole).max() <= 1


@pytest.mark.parametrize("scale", [1, 2])
def test_grey_networks_enlarge_luma_and_leave_colour_to_bicubic(tmp_path: Path, scale: int) -> None:
    path = plain_file(tmp_path / "m.onnx", channels=1, scale=scale)
    sr = tiled_equals_whole(path, consistency=False)
    grey = Upscaler(path, precision="fp32", consistency=False).upscale(LR[..., 0])
    assert sr.shape == (41 * scale, 53 * scale, 3)
    assert grey.shape == (41 * scale, 53 * scale)
    near = np.repeat(np.repeat(LR, scale, 0), scale, 1)
    assert np.corrcoef(sr.ravel(), near.ravel())[0, 1] > 0.8


def unshuffling(path: Path) -> Path:
    """As Real-ESRGAN x2plus: pixels into channels by 2, a convolution, out by 4."""
    nodes = [
        node("SpaceToDepth", "input", "small", blocksize=2),
        node("Conv", "small weight", "wide", pads=[1] * 4, kernel_shape=[3, 3]),
        node("DepthToSpace", "wide", "output", blocksize=4, mode="CRD"),
    ]
    return saved(path, nodes, {"weight": conv(12, 48)})


@pytest.mark.parametrize("tta", [False, True])
def test_windows_keep_the_step_of_a_network(tmp_path: Path, tta: bool) -> None:
    path = unshuffling(tmp_path / "m.onnx")
    traits = read_onnx(path).whole.traits
    assert (traits.scale, traits.sizes.multiple) == (2, 2)
    assert tiled_equals_whole(path, tta=tta).shape == (82, 106, 3)
    assert Upscaler(path).upscale(LR[:1, :1]).shape == (2, 2, 3)


def attending(path: Path) -> Path:
    """Each pixel is brightened by the mean of all."""
    nodes = [
        node("GlobalAveragePool", "input", "mean"),
        node("Mul", "mean small", "little"),
        node("Add", "input little", "sum"),
        node("Conv", "sum weight", "wide"),
        node("DepthToSpace", "wide", "output", blocksize=2, mode="CRD"),
    ]
    weight = np.zeros((12, 3, 1, 1), "f4")
    weight[np.arange(12), np.arange(12) // 4] = 1
    return saved(path, nodes, {"weight": weight, "small": np.float32([0.05])})


def test_without_a_bound_tiles_are_blended_and_it_is_said(tmp_path: Path) -> None:
    path = attending(tmp_path / "m.onnx")
    ramp = np.tile(np.linspace(30, 200, 300).astype(np.uint8)[None, :, None], (90, 1, 3))
    options = {"precision": "fp32", "consistency": False}
    up = Upscaler(path, tile=64, **options)
    assert up.network.whole.traits.radius is None
    (note,) = up.notes(90, 300)
    assert "blended" in note
    sr = up.upscale(ramp)
    assert sr.shape == (180, 600, 3)
    assert np.diff(sr[20, :, 0].astype(int)).min() >= -1  # no step back where tiles meet
    whole = Upscaler(path, tile=4096, **options)
    assert whole.notes(90, 300) == ()
    assert np.abs(sr.astype(int) - whole.upscale(ramp)).max() < 8


def windowed(path: Path) -> Path:
    """Reshapes into windows of 8 and back, as attention in windows does."""
    shapes = {
        "split": np.int64([0, 3, -1, 8, 1, 8]),
        "weight": conv(3, 12, 1),
    }
    nodes = [
        node("Shape", "input", "size"),
        node("Reshape", "input split", "windows"),
        node("Softmax", "windows", "soft", axis=3),
        node("Add", "windows soft", "sum"),
        node("Reshape", "sum size", "back"),
        node("Conv", "back weight", "wide"),
        node("DepthToSpace", "wide", "output", blocksize=2, mode="CRD"),
    ]
    return saved(path, nodes, shapes)


def test_sizes_of_a_network_of_windows_are_found_and_obeyed(tmp_path: Path) -> None:
    path = windowed(tmp_path / "m.onnx")
    sizes = read_onnx(path).whole.traits.sizes
    assert sizes.multiple == 8
    for shape in ((41, 53), (3, 5), (130, 200)):
        lr = np.zeros((*shape, 3), np.uint8)
        assert Upscaler(path, tile=64).upscale(lr).shape == (shape[0] * 2, shape[1] * 2, 3)


def quantised(path: Path) -> Path:
    """A convolution between QuantizeLinear and DequantizeLinear, its weights in 8 bits."""
    weight = conv(3, 12)
    step = np.float32(np.abs(weight).max() / 127)
    constants = {
        "weight": np.round(weight / step).astype(np.int8),
        "step": step,
        "zero": np.int8(0),
        "in_step": np.float32(1 / 255),
        "in_zero": np.uint8(0),
    }
    nodes = [
        node("QuantizeLinear", "input in_step in_zero", "q"),
        node("DequantizeLinear", "q in_step in_zero", "x"),
        node("DequantizeLinear", "weight step zero", "w"),
        node("Conv", "x w", "wide", pads=[1] * 4),
        node("DepthToSpace", "wide", "output", blocksize=2, mode="CRD"),
    ]
    return saved(path, nodes, constants)


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_quantised_files_are_accepted(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    path = quantised(tmp_path / "m.onnx")
    assert read_onnx(path).whole.traits.radius == 1
    assert tiled_equals_whole(path, backend=backend).std() > 1


@pytest.mark.parametrize("backend", ["openvino", "onnxruntime"])
def test_files_in_half_precision_are_accepted(tmp_path: Path, backend: str) -> None:
    pytest.importorskip(backend)
    nodes = [
        node("Conv", "input weight", "wide", pads=[1] * 4),
        node("DepthToSpace", "wide", "output", blocksize=2, mode="CRD"),
    ]
    constants = {"weight": conv(3, 12).astype(np.float16)}
    path = saved(tmp_path / "m.onnx", nodes, constants, kind=TensorProto.FLOAT16)
    assert tiled_equals_whole(path, backend=backend).std() > 1


def test_one_sided_padding_and_strided_transposes_are_counted(tmp_path: Path) -> None:
    nodes = [
        node("Conv", "input weight", "moved", pads=[0, 0, 4, 4]),
        node("ConvTranspose", "moved up", "output", strides=[2, 2], pads=[2] * 4),
    ]
    constants = {"weight": conv(3, 3, 5), "up": conv(3, 3, 6)}
    path = saved(tmp_path / "m.onnx", nodes, constants)
    assert read_onnx(path).whole.traits.radius == 4 + 2
    tiled_equals_whole(path)


@pytest.mark.parametrize("blocks", [3, 12])
def test_a_file_that_does_not_enlarge_rgb_is_refused(tmp_path: Path, blocks: int) -> None:
    nodes = [node("Conv", "input weight", "output", strides=[2, 2])]
    path = saved(tmp_path / "m.onnx", nodes, {"weight": conv(3, blocks)})
    with pytest.raises(ModelError, match="want a whole enlargement"):
        Upscaler(path)
