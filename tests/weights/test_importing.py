"""Keras and BasicSR files become models that compute the same."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")

from fourfold.errors import ModelError  # noqa: E402
from fourfold.networks.srresnet import SRResNet  # noqa: E402
from fourfold.weights.importing import import_model  # noqa: E402


def _write_keras(path: Path, network: SRResNet, *, first: int = 0, drop: str = "") -> None:
    """The layout Keras gives `save_weights`, layers numbered from `first` as in a used process."""
    state = {k: v.numpy() for k, v in network.state_dict().items()}
    count = {"conv2d": first, "batch_normalization": first, "p_re_lu": first}

    def group(file: h5py.File, kind: str) -> h5py.Group:
        number = count[kind]
        count[kind] += 1
        name = f"{kind}_{number}" if number else kind
        return file.create_group(f"{name}/{name}")

    def conv(file: h5py.File, name: str, shuffled: bool = False) -> None:
        if name == drop:
            return
        weight, bias = state[f"{name}.weight"], state[f"{name}.bias"]
        if shuffled:  # torch (channel, row, column) to TensorFlow (row, column, channel)
            order = np.arange(len(bias)).reshape(-1, 2, 2).transpose(1, 2, 0).reshape(-1)
            weight, bias = weight[order], bias[order]
        into = group(file, "conv2d")
        into["kernel:0"], into["bias:0"] = weight.transpose(2, 3, 1, 0), bias

    def norm(file: h5py.File, name: str) -> None:
        into = group(file, "batch_normalization")
        names = {"gamma": "weight", "beta": "bias"}
        names |= {"moving_mean": "running_mean", "moving_variance": "running_var"}
        for theirs, ours in names.items():
            into[f"{theirs}:0"] = state[f"{name}.{ours}"]

    def prelu(file: h5py.File, name: str) -> None:
        group(file, "p_re_lu")["alpha:0"] = state[f"{name}.weight"][None, None]

    with h5py.File(path, "w") as file:
        file.create_group("input_1")
        conv(file, "head")
        prelu(file, "head_act")
        for i in range(network.hyperparameters()["num_blocks"]):
            for k in (1, 2):
                conv(file, f"blocks.{i}.conv{k}")
                norm(file, f"blocks.{i}.norm{k}")
            prelu(file, f"blocks.{i}.act")
        conv(file, "trunk")
        norm(file, "trunk_norm")
        for j in range(len(network.upsample)):
            conv(file, f"upsample.{j}", shuffled=True)
            prelu(file, f"upsample_acts.{j}")
        conv(file, "tail")


def _network(scale: int = 4, num_blocks: int = 11, width: int = 4) -> SRResNet:
    torch.manual_seed(1)
    network = SRResNet(scale=scale, num_blocks=num_blocks, width=width)
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_()
            module.running_var.uniform_(0.5, 2)
    return network.eval()


@pytest.mark.parametrize(("scale", "first"), [(2, 0), (4, 0), (4, 7), (8, 3)])
def test_keras_generator_computes_the_same(tmp_path: Path, scale: int, first: int) -> None:
    # Eleven blocks, so that `conv2d_10` sorts wrongly by name.
    network = _network(scale)
    _write_keras(tmp_path / "g.h5", network, first=first)
    model = import_model(tmp_path / "g.h5")
    assert (model.scale, model.hyperparameters) == (scale, {"num_blocks": 11, "width": 4})
    expected = network.inference_tensors()
    for name, tensor in model.tensors.items():
        np.testing.assert_array_equal(tensor, expected[name], err_msg=name)


def _as_keras_3(old: Path, new: Path, *, zipped: bool) -> None:
    """Rewrite in the layout of Keras 3: `layers/<name>/vars/<number>`."""
    order = ["kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance", "alpha"]
    buffer = io.BytesIO()
    with h5py.File(old, "r") as source, h5py.File(buffer, "w") as target:
        target["optimizer/vars/0"] = np.ones(3)
        for name in source:
            if name in source[name]:
                held = sorted(source[name][name], key=lambda v: order.index(v.split(":")[0]))
                for i, variable in enumerate(held):
                    target[f"layers/{name}/vars/{i}"] = source[name][name][variable][()]
    if not zipped:
        new.write_bytes(buffer.getvalue())
        return
    with zipfile.ZipFile(new, "w") as archive:
        archive.writestr("config.json", "{}")
        archive.writestr("model.weights.h5", buffer.getvalue())


@pytest.mark.parametrize("name", ["g.weights.h5", "g.keras"])
def test_keras_3_files_are_the_same_model(tmp_path: Path, name: str) -> None:
    _write_keras(tmp_path / "old.h5", _network(), first=2)
    _as_keras_3(tmp_path / "old.h5", tmp_path / name, zipped=name.endswith(".keras"))
    assert import_model(tmp_path / name).sha256 == import_model(tmp_path / "old.h5").sha256


def test_layers_named_by_their_author_go_by_the_order_of_the_file(tmp_path: Path) -> None:
    _write_keras(tmp_path / "old.h5", _network())
    with h5py.File(tmp_path / "old.h5", "r") as old, h5py.File(tmp_path / "new.h5", "w") as new:
        names = sorted((n for n in old if n in old[n]), key=_by_kind_and_number)
        renamed = {name: f"layer-{chr(122 - i % 26)}{i}" for i, name in enumerate(names)}
        for name, other in renamed.items():
            old.copy(old[name][name], new.create_group(other), other)
        new.attrs["layer_names"] = [renamed[name].encode() for name in names]
    assert import_model(tmp_path / "new.h5").sha256 == import_model(tmp_path / "old.h5").sha256


def _by_kind_and_number(name: str) -> tuple[str, int]:
    kind, _, number = name.rpartition("_")
    return (kind, int(number)) if number.isdecimal() else (name, 0)


def test_a_missing_keras_layer_is_an_error_that_counts(tmp_path: Path) -> None:
    _write_keras(tmp_path / "g.h5", _network(), drop="blocks.3.conv2")
    with pytest.raises(ModelError, match="got 26 convolutions"):
        import_model(tmp_path / "g.h5")


def test_a_left_over_keras_layer_is_named(tmp_path: Path) -> None:
    _write_keras(tmp_path / "g.h5", _network())
    with h5py.File(tmp_path / "g.h5", "a") as file:
        file["dense/dense/kernel:0"] = np.ones((2, 2))
    with pytest.raises(ModelError, match="'dense'"):
        import_model(tmp_path / "g.h5")


def test_a_file_that_is_not_keras_is_refused(tmp_path: Path) -> None:
    (tmp_path / "g.h5").write_text("not weights")
    with pytest.raises(ModelError, match=r"g\.h5"):
        import_model(tmp_path / "g.h5")


class MsrResNet(torch.nn.Module):
    """What basicsr/archs/srresnet_arch.py computes, restated for the test."""

    def __init__(self, scale: int, width: int = 8, blocks: int = 2) -> None:
        super().__init__()
        conv = torch.nn.Conv2d
        self.scale = scale
        self.conv_first = conv(3, width, 3, padding=1)
        self.body = torch.nn.ModuleList()
        for _ in range(blocks):
            block = torch.nn.Module()
            block.conv1 = conv(width, width, 3, padding=1)
            block.conv2 = conv(width, width, 3, padding=1)
            self.body.append(block)
        factor = 9 if scale == 3 else 4
        self.upconv1 = conv(width, width * factor, 3, padding=1)
        if scale == 4:
            self.upconv2 = conv(width, width * 4, 3, padding=1)
        self.conv_hr = conv(width, width, 3, padding=1)
        self.conv_last = conv(width, 3, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        leaky = torch.nn.functional.leaky_relu
        shuffle = torch.nn.functional.pixel_shuffle
        y = leaky(self.conv_first(x), 0.1)
        for block in self.body:
            y = y + block.conv2(block.conv1(y).relu())
        y = leaky(shuffle(self.upconv1(y), 3 if self.scale == 3 else 2), 0.1)
        if self.scale == 4:
            y = leaky(shuffle(self.upconv2(y), 2), 0.1)
        base = torch.nn.functional.interpolate(
            x, scale_factor=self.scale, mode="bilinear", align_corners=False
        )
        return self.conv_last(leaky(self.conv_hr(y), 0.1)) + base


@pytest.mark.parametrize("scale", [2, 3, 4])
@pytest.mark.parametrize("wrapper", ["params", None])
def test_basicsr_checkpoint_computes_the_same(
    tmp_path: Path, scale: int, wrapper: str | None
) -> None:
    from fourfold import Upscaler

    torch.manual_seed(0)
    network = MsrResNet(scale).eval()
    state = {f"module.{k}": v for k, v in network.state_dict().items()}
    torch.save({wrapper: state} if wrapper else state, tmp_path / "n.pth")
    model = import_model(tmp_path / "n.pth")
    lr = np.random.default_rng(0).random((150, 11, 3)).astype(np.float32)
    up = Upscaler(model, precision="fp32", consistency=False)
    with torch.no_grad():
        expected = network(torch.from_numpy(lr.transpose(2, 0, 1))[None])[0].numpy()
    np.testing.assert_allclose(up.upscale(lr), expected.transpose(1, 2, 0).clip(0, 1), atol=2e-5)


def test_basicsr_left_over_keys_and_code_are_refused(tmp_path: Path) -> None:
    state = MsrResNet(4).state_dict()
    torch.save({**state, "conv_extra.weight": torch.ones(1)}, tmp_path / "n.pth")
    with pytest.raises(ModelError, match=r"conv_extra\.weight"):
        import_model(tmp_path / "n.pth")
    torch.save({"params": print}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match="plain tensors") as caught:
        import_model(tmp_path / "evil.pth")
    assert "network.state_dict() alone" in str(caught.value)
    assert "weights_only" not in str(caught.value)


def test_unknown_suffix_and_missing_file_are_clear(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="no such file"):
        import_model(tmp_path / "nothing.h5")
    (tmp_path / "w.bin").write_bytes(b"1")
    with pytest.raises(ModelError, match=r"\.h5"):
        import_model(tmp_path / "w.bin")
