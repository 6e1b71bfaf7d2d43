"""Discriminator and VGG: shapes, padding, weights in each format."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from fourfold.errors import ConfigError, DownloadError, ModelError
from fourfold.networks.discriminator import Discriminator, discriminator_from_keras
from fourfold.networks.vgg import DEPTHS, VggFeatures, read_vgg_weights
from fourfold.training import vgg_files
from fourfold.training.vgg_files import vgg_file


def test_discriminator_has_the_papers_size():
    network = Discriminator()
    assert sum(p.numel() for p in network.parameters()) == 23_565_505
    network.eval()
    assert network(torch.zeros(2, 3, 96, 96)).shape == (2,)


def test_discriminator_refuses_other_crops():
    with pytest.raises(ModelError, match=r"want \(N, 3, 32, 32\), got \(1, 3, 48, 48\)"):
        Discriminator(crop=32, width=2)(torch.zeros(1, 3, 48, 48))


def _write_keras(path, network):
    """A discriminator's weights as Keras names and lays them out."""
    side = network.crop // 16
    with h5py.File(path, "w") as file:
        convs, norms = 7, 3  # creation numbers may start anywhere
        for layer in network.features:
            if isinstance(layer, torch.nn.Conv2d):
                group = file.create_group(f"conv2d_{convs}").create_group(f"conv2d_{convs}")
                group["kernel:0"] = layer.weight.detach().permute(2, 3, 1, 0).numpy()
                group["bias:0"] = layer.bias.detach().numpy()
                convs += 1
            elif isinstance(layer, torch.nn.BatchNorm2d):
                name = f"batch_normalization_{norms}"
                group = file.create_group(name).create_group(name)
                group["gamma:0"] = layer.weight.detach().numpy()
                group["beta:0"] = layer.bias.detach().numpy()
                group["moving_mean:0"] = layer.running_mean.numpy()
                group["moving_variance:0"] = layer.running_var.numpy()
                norms += 1
        dense = network.dense.weight.detach().view(1024, -1, side, side).permute(2, 3, 1, 0)
        for name, kernel, bias in (
            ("dense_1", dense.reshape(-1, 1024), network.dense.bias),
            ("dense_2", network.logit.weight.detach().T, network.logit.bias),
        ):
            group = file.create_group(name).create_group(name)
            group["kernel:0"], group["bias:0"] = kernel.numpy(), bias.detach().numpy()


def test_keras_discriminator_reads_back_the_same(tmp_path):
    torch.manual_seed(3)
    network = Discriminator(crop=32, width=2)
    network(torch.rand(4, 3, 32, 32))  # statistics that are not the default
    _write_keras(tmp_path / "d.h5", network)
    read = discriminator_from_keras(tmp_path / "d.h5").eval()
    picture = torch.rand(2, 3, 32, 32)
    assert torch.allclose(read(picture), network.eval()(picture), atol=1e-6)


def test_another_keras_network_is_no_discriminator(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        group = file.create_group("dense")
        group["kernel:0"], group["bias:0"] = np.zeros((4, 2)), np.zeros(2)
    with pytest.raises(ModelError, match="want an SRGAN discriminator"):
        discriminator_from_keras(tmp_path / "x.h5")


@pytest.mark.parametrize(
    ("network", "layer", "channels", "side"),
    [("vgg19", "vgg54", 512, 6), ("vgg19", "vgg22", 128, 48), ("vgg16", "vgg53", 512, 6)],
)
def test_features_have_the_layers_shape(network, layer, channels, side):
    features = VggFeatures(network=network, layer=layer)
    assert features(torch.zeros(1, 3, 96, 96)).shape == (1, channels, side, side)


def test_features_before_relu_are_those_after_it_unclipped():
    torch.manual_seed(0)
    after, before = (VggFeatures(layer="vgg22", after_relu=r, width=8) for r in (True, False))
    before.load_state_dict(after.state_dict())
    picture = torch.rand(1, 3, 32, 32)
    assert torch.equal(torch.relu(before(picture)), after(picture))
    assert before(picture).min() < 0


def test_preprocessing_is_what_the_weights_want():
    seen = []
    for kind in ("caffe", "torchvision"):
        features = VggFeatures(layer="vgg11", preprocessing=kind, width=4)
        features.features.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        features(torch.tensor([1.0, 0.5, 0.0]).view(1, 3, 1, 1).expand(1, 3, 4, 4))
    caffe, torchvision = (image[0, :, 0, 0].tolist() for image in seen)
    assert caffe == pytest.approx([-103.939, 127.5 - 116.779, 255 - 123.68], abs=1e-4)
    expected = [(1 - 0.485) / 0.229, (0.5 - 0.456) / 0.224, -0.406 / 0.225]
    assert torchvision == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("layer", ["vgg55", "vgg60", "conv5_4", "vgg5"])
def test_an_unknown_layer_is_named(layer):
    with pytest.raises(ModelError, match="vgg19 has vgg11 to vgg54"):
        VggFeatures(layer=layer)


@pytest.fixture(params=[".h5", ".pth", ".safetensors"])
def weights(request, tmp_path):
    """VGG16's first two blocks in one of the formats, and their arrays."""
    torch.manual_seed(1)
    network = VggFeatures(network="vgg16", layer="vgg22")
    arrays = {k: v.numpy() for k, v in network.state_dict().items()}
    path = tmp_path / f"vgg{request.param}"
    if request.param == ".safetensors":
        save_file(arrays, path, {"preprocessing": "caffe"})
    elif request.param == ".pth":
        extra = {"classifier.0.weight": torch.zeros(2)}
        torch.save({**{k: torch.from_numpy(v) for k, v in arrays.items()}, **extra}, path)
    else:
        with h5py.File(path, "w") as file:
            for index, name in ((0, "1_conv1"), (2, "1_conv2"), (5, "2_conv1"), (7, "2_conv2")):
                group = file.create_group(f"block{name}")
                kernel = arrays[f"features.{index}.weight"]
                group[f"block{name}_W_1:0"] = kernel.transpose(2, 3, 1, 0)
                group[f"block{name}_b_1:0"] = arrays[f"features.{index}.bias"]
    return path, arrays


def test_weights_load_from_each_format(weights):
    path, arrays = weights
    tensors, preprocessing = read_vgg_weights(path, network="vgg16")
    assert preprocessing == ("torchvision" if path.suffix == ".pth" else "caffe")
    network = VggFeatures(network="vgg16", layer="vgg22")
    network.load(tensors, source=str(path))
    assert all(np.array_equal(v.numpy(), arrays[k]) for k, v in network.state_dict().items())


def test_weights_of_another_network_are_refused(weights):
    path, _ = weights
    tensors, _ = read_vgg_weights(path, network="vgg16")
    with pytest.raises(ModelError, match="lack"):
        VggFeatures(network="vgg19", layer="vgg54").load(tensors, source=str(path))


def test_weights_with_nan_are_refused(weights):
    path, _ = weights
    tensors, _ = read_vgg_weights(path, network="vgg16")
    tensors["features.0.bias"] = np.full(64, np.nan, np.float32)
    with pytest.raises(ModelError, match="NaN or infinity"):
        VggFeatures(network="vgg16", layer="vgg22").load(tensors, source="x")


@pytest.mark.parametrize("name", ["vgg.h5", "vgg.pth", "vgg.safetensors", "vgg.bin"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ModelError, match="want"):
        read_vgg_weights(tmp_path / name, network="vgg19")


def test_depths_count_to_16_and_19_with_the_dense_layers():
    assert [sum(DEPTHS[n]) + 3 for n in ("vgg16", "vgg19")] == [16, 19]


def test_a_missing_weights_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="no such file"):
        vgg_file("vgg19", str(tmp_path / "vgg.h5"))


def test_without_network_the_error_says_what_to_do(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise DownloadError("no network")

    monkeypatch.setattr(vgg_files, "fetch", refuse)
    with pytest.raises(
        DownloadError, match=r"get https://.*notop\.h5 .* --set losses\.content\.weig"
    ):
        vgg_file("vgg19", "", cache=tmp_path)


def test_vgg16_needs_one_setting_and_the_error_names_it():
    vgg16 = VggFeatures(network="vgg16", layer="vgg54", width=4)
    last = VggFeatures(network="vgg16", layer="vgg53", width=4)
    assert vgg16.state_dict().keys() == last.state_dict().keys()
    arrays = {k: v.numpy() for k, v in vgg16.state_dict().items()}
    with pytest.raises(ModelError, match=r"--set losses\.content_network=vgg16"):
        VggFeatures(network="vgg19", layer="vgg54", width=4).load(arrays, source="a.h5")


def test_the_advice_about_code_in_a_pth_is_ours(tmp_path):
    torch.save({"features.0.weight": print}, tmp_path / "evil.pth")
    with pytest.raises(ModelError, match=r"network\.state_dict\(\) alone") as caught:
        read_vgg_weights(tmp_path / "evil.pth", network="vgg16")
    assert "weights_only" not in str(caught.value)
