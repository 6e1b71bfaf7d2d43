"""ONNX files that keep their weights apart: read from their own folder, and from nowhere else."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from fourfold import Upscaler
from fourfold.errors import ModelError


def _write(path, location, weights):
    kernel = numpy_helper.from_array(weights, "kernel")
    if location is not None:
        kernel.ClearField("raw_data")
        kernel.data_location = TensorProto.EXTERNAL
        for key, value in (("location", location), ("length", str(weights.nbytes))):
            kernel.external_data.add(key=key, value=value)
    shape = ["n", 3, "h", "w"]
    nodes = [helper.make_node("Conv", ["x", "kernel"], ["c"], kernel_shape=[1, 1])]
    nodes.append(helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, "H", "W"])],
        [kernel],
    )
    opset = [helper.make_opsetid("", 17)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    )


@pytest.fixture
def weights():
    return np.kron(np.eye(3), np.ones((1, 4))).T.reshape(12, 3, 1, 1).astype(np.float32)


@pytest.mark.parametrize("location", ["../secret.bin", "{folder}/secret.bin", "link.bin"])
def test_weights_outside_the_folder_are_refused(tmp_path, weights, location):
    inside = tmp_path / "model"
    inside.mkdir()
    (tmp_path / "secret.bin").write_bytes(weights.tobytes())
    (inside / "link.bin").symlink_to(tmp_path / "secret.bin")
    _write(inside / "net.onnx", location.format(folder=tmp_path), weights)
    with pytest.raises(ModelError, match=r"net\.onnx: ") as caught:
        Upscaler(inside / "net.onnx")
    assert "\n" not in str(caught.value)


def test_a_file_without_such_weights_runs(tmp_path, weights):
    _write(tmp_path / "net.onnx", None, weights)
    lr = np.full((8, 8, 3), 100, np.uint8)
    up = Upscaler(tmp_path / "net.onnx", consistency=False)
    assert (up.upscale(lr) == 100).all()
    assert onnx.load(tmp_path / "net.onnx").graph.initializer[0].data_location == 0
