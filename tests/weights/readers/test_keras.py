"""Keras files with odd content are refused in one line, whatever they claim to hold."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

h5py = pytest.importorskip("h5py")

from fourfold.errors import ModelError  # noqa: E402
from fourfold.weights.readers.keras import read_keras_layers, srresnet_from_keras  # noqa: E402


def _claims_much(file):
    file.create_dataset("conv2d/kernel:0", (1 << 20, 1 << 20), "f4", chunks=True)


def _in_another_file(file):
    file.create_dataset("conv2d/kernel:0", (4, 4), "f4", external=[("/etc/passwd", 0, 64)])


def _virtual(file):
    layout = h5py.VirtualLayout((4,), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (4,))
    file.create_virtual_dataset("conv2d/kernel:0", layout)


def _text(file):
    file["conv2d/kernel:0"] = "weights"


def _compound(file):
    file["conv2d/kernel:0"] = np.zeros(3, [("a", "f4"), ("b", "i4")])


def _nothing(file):
    file["conv2d/kernel:0"] = h5py.Empty("f4")


def _odd_names(file):
    file.attrs["layer_names"] = 7
    file["conv2d/kernel:0"] = np.zeros(1)


def _odd_group(file):
    file["model_weights"] = np.zeros(3)


@pytest.mark.parametrize(
    "make",
    [_claims_much, _in_another_file, _virtual, _text, _compound, _nothing, _odd_names, _odd_group],
)
def test_odd_layers_are_refused(tmp_path, make):
    with h5py.File(tmp_path / "odd.h5", "w") as file:
        make(file)
    with pytest.raises(ModelError, match=r"odd\.h5: want a Keras file") as caught:
        read_keras_layers(tmp_path / "odd.h5")
    assert len(str(caught.value)) < 300


def _layers(file, *, kernel=(9, 9, 3, 4), bias=4, alpha=(1, 1, 4)):
    for i, count in enumerate([kernel, *[(3, 3, 4, 4)] * 3, (3, 3, 4, 16), (9, 9, 4, 3)]):
        name = f"conv2d_{i + 1}"
        file[f"{name}/kernel:0"] = np.zeros(count)
        file[f"{name}/bias:0"] = np.zeros(bias if i == 0 else count[-1])
    for i in range(3):
        for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
            file[f"batch_normalization_{i + 1}/{kind}:0"] = np.zeros(4)
        file[f"p_re_lu_{i + 1}/alpha:0"] = np.zeros(alpha)


def test_the_layers_of_this_test_make_a_network(tmp_path):
    with h5py.File(tmp_path / "g.h5", "w") as file:
        _layers(file)
    _, shape = srresnet_from_keras(tmp_path / "g.h5")
    assert shape == {"scale": 2, "num_blocks": 1, "width": 4}


@pytest.mark.parametrize("odd", [{"kernel": ()}, {"kernel": (4,)}, {"bias": 3}, {"alpha": ()}])
def test_odd_shapes_are_refused(tmp_path, odd):
    with h5py.File(tmp_path / "g.h5", "w") as file:
        _layers(file, **odd)
    with pytest.raises(ModelError, match=r"g\.h5: layer"):
        srresnet_from_keras(tmp_path / "g.h5")


def test_a_zip_that_grows_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "g.keras", "w") as archive:
        archive.writestr("model.weights.h5", b"")
    content = (tmp_path / "g.keras").read_bytes()
    claimed = (0xF0000000).to_bytes(4, "little")  # in the directory, 24 bytes after its mark
    at = content.index(b"PK\x01\x02") + 24
    (tmp_path / "g.keras").write_bytes(content[:at] + claimed + content[at + 4 :])
    with pytest.raises(ModelError, match="claim 4 GB"):
        read_keras_layers(tmp_path / "g.keras")
