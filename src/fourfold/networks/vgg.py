"""VGG16 and VGG19 up to one convolution: the features the content loss compares.

Weights come in two flavours that want different inputs: the original Oxford ones, which Keras
ships (`caffe`: BGR, 0..255, minus the ImageNet means), and torchvision's (RGB, 0..1, normalised).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np
import torch
from torch import Tensor, nn

from fourfold.errors import MissingExtra, ModelError
from fourfold.weights.readers.keras import KERAS_ERRORS, plain_array
from fourfold.weights.readers.state_dict import read_pth, unwrap_state_dict
from fourfold.weights.tensor_file import refuse_absurd

Network = Literal["vgg16", "vgg19"]
Preprocessing = Literal["caffe", "torchvision"]

# Convolutions per block, Simonyan and Zisserman 2015, table 1, columns D and E.
DEPTHS: Final[Mapping[str, tuple[int, ...]]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
WIDTHS: Final = (64, 128, 256, 512, 512)

CAFFE_MEANS_BGR: Final = (103.939, 116.779, 123.68)  # Keras imagenet_utils, mode "caffe"
TORCHVISION_MEANS: Final = (0.485, 0.456, 0.406)
TORCHVISION_STDS: Final = (0.229, 0.224, 0.225)


class VggFeatures(nn.Module):
    """RGB in [0, 1], `(N, 3, H, W)`, to the features of one convolution, frozen.

    Args:
        network: `vgg16` or `vgg19`.
        layer: `vggij`, the j-th convolution of block i (paper: VGG54, VGG22).
        after_relu: take the features after the ReLU (Keras recipe) or before it (ESRGAN, BasicSR).
        preprocessing: what the weights were trained with.
        width: channels of the first block; 64 unless for a test.
    """

    def __init__(
        self,
        *,
        network: Network = "vgg19",
        layer: str = "vgg54",
        after_relu: bool = True,
        preprocessing: Preprocessing = "caffe",
        width: int = 64,
    ) -> None:
        super().__init__()
        block, conv = parse_layer(layer, network=network)
        self.network = network
        self.preprocessing = preprocessing
        modules: list[nn.Module] = []
        channels = 3
        for i in range(block):
            if i:
                modules.append(nn.MaxPool2d(2))
            out = WIDTHS[i] * width // 64
            for _ in range(conv if i == block - 1 else DEPTHS[network][i]):
                modules += [nn.Conv2d(channels, out, 3, padding=1), nn.ReLU(inplace=True)]
                channels = out
        self.features = nn.Sequential(*(modules if after_relu else modules[:-1]))
        self.means: Tensor
        self.tv_means: Tensor
        self.tv_stds: Tensor
        self.register_buffer("means", torch.tensor(CAFFE_MEANS_BGR).view(1, 3, 1, 1), False)
        self.register_buffer("tv_means", torch.tensor(TORCHVISION_MEANS).view(1, 3, 1, 1), False)
        self.register_buffer("tv_stds", torch.tensor(TORCHVISION_STDS).view(1, 3, 1, 1), False)
        self.requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """The features, `(N, channels, H / 2^(block - 1), W / 2^(block - 1))`."""
        if self.preprocessing == "caffe":
            prepared = image.flip(1) * 255 - self.means
        else:
            prepared = (image - self.tv_means) / self.tv_stds
        return self.features(prepared)

    def load(self, tensors: Mapping[str, np.ndarray], *, source: str) -> None:
        """Take weights by torchvision's names (`features.N.weight`); `ModelError` if any misses."""
        wanted = self.state_dict()
        missing = sorted(set(wanted) - set(tensors))
        if missing:
            other = "vgg16" if self.network == "vgg19" else "vgg19"
            raise ModelError(
                f"{source}: as weights of {self.network} it lacks {', '.join(missing[:3])} "
                f"({len(missing)} tensors); if it is {other}, --set losses.content_network={other}"
            )
        chosen = {name: np.asarray(tensors[name], np.float32) for name in wanted}
        wrong = [n for n, value in chosen.items() if value.shape != tuple(wanted[n].shape)]
        if wrong:
            raise ModelError(f"{source}: VGG weights of another shape: {wrong}")
        if not all(np.isfinite(value).all() for value in chosen.values()):
            raise ModelError(f"{source}: VGG weights hold NaN or infinity; get the file again")
        self.load_state_dict({name: torch.from_numpy(v.copy()) for name, v in chosen.items()})


def parse_layer(layer: str, *, network: str) -> tuple[int, int]:
    """Block and convolution of a layer name.

    VGG16 has three convolutions where VGG19 has four: there the paper's `vgg54`, the last one of
    the network, is its own last one.

    >>> parse_layer("vgg54", network="vgg19"), parse_layer("vgg54", network="vgg16")
    ((5, 4), (5, 3))
    """
    if (layer, network) == ("vgg54", "vgg16"):
        layer = "vgg53"
    match = re.fullmatch(r"vgg([1-5])([1-4])", layer)
    if match is None or int(match[2]) > DEPTHS[network][int(match[1]) - 1]:
        last = f"vgg5{DEPTHS[network][4]}"
        raise ModelError(
            f"content layer: {network} has vgg11 to {last} (block, convolution), got {layer!r}"
        )
    return int(match[1]), int(match[2])


def read_vgg_weights(
    path: Path, *, network: str
) -> tuple[dict[str, np.ndarray], Preprocessing | None]:
    """Tensors by torchvision's names and the preprocessing they want, None where the file is mute.

    Reads Keras `.h5`, torchvision `.pth` and `.safetensors` with the key `preprocessing` in its
    metadata. `ModelError` for anything else.
    """
    if not path.is_file():
        raise ModelError(f"{path}: no such file; want VGG weights (.h5, .pth or .safetensors)")
    refuse_absurd(path, safetensors=path.suffix == ".safetensors")
    readers = {".h5": _read_keras, ".pth": _read_pth, ".safetensors": _read_safetensors}
    if path.suffix not in readers:
        raise ModelError(f"{path}: want VGG weights as .h5, .pth or .safetensors")
    return readers[path.suffix](path, network)


def _read_keras(path: Path, network: str) -> tuple[dict[str, np.ndarray], Preprocessing]:
    try:
        import h5py
    except ImportError as error:
        raise MissingExtra("reading Keras .h5 weights", "train") from error
    tensors: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            group = file.get("model_weights", file)
            for name, index in _conv_positions(network).items():
                arrays = _arrays_below(group[name]) if name in group else []
                for array in arrays:
                    kind, value = "bias", array
                    if array.ndim == 4:  # Keras kernels are (rows, columns, in, out)
                        kind, value = "weight", array.transpose(3, 2, 0, 1)
                    tensors[f"features.{index}.{kind}"] = np.ascontiguousarray(value)
    except KERAS_ERRORS as error:
        raise ModelError(f"{path}: want a Keras .h5 file ({error})") from error
    return tensors, "caffe"


def _arrays_below(group: Any) -> list[np.ndarray]:
    found: list[np.ndarray] = []
    group.visititems(
        lambda name, item: found.append(plain_array(name, item)) if hasattr(item, "shape") else None
    )
    return found


def _conv_positions(network: str) -> dict[str, int]:
    """Keras layer name to torchvision index, for example block1_conv1 to 0."""
    positions, index = {}, 0
    for block, depth in enumerate(DEPTHS[network], start=1):
        for conv in range(1, depth + 1):
            positions[f"block{block}_conv{conv}"] = index
            index += 2
        index += 1
    return positions


def _read_pth(path: Path, network: str) -> tuple[dict[str, np.ndarray], Preprocessing]:
    del network
    state = unwrap_state_dict(read_pth(path), source=str(path))
    return {k: v for k, v in state.items() if k.startswith("features.")}, "torchvision"


def _read_safetensors(
    path: Path, network: str
) -> tuple[dict[str, np.ndarray], Preprocessing | None]:
    from safetensors import SafetensorError, safe_open

    del network
    try:
        with safe_open(str(path), framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: want a .safetensors file ({error})") from error
    declared = metadata.get("preprocessing")
    if declared not in (None, "caffe", "torchvision"):
        raise ModelError(f"{path}: preprocessing {declared!r}; want caffe or torchvision")
    return tensors, declared


__all__ = ["DEPTHS", "VggFeatures", "parse_layer", "read_vgg_weights"]
