"""Where VGG weights come from: a file the user has, the cache, or the publisher."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

from platformdirs import user_cache_path

from fourfold.errors import ConfigError, DownloadError
from fourfold.files.download import Download, fetch


class _Published(NamedTuple):
    url: str
    md5: str


# Keras publishes MD5 sums with its applications (keras.applications.vgg16 and vgg19); the files are
# the original Oxford weights, which the SRGAN recipe uses.
_KERAS: Final = "https://storage.googleapis.com/tensorflow/keras-applications"
PUBLISHED: Final = {
    "vgg16": _Published(
        f"{_KERAS}/vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "6d6bbae143d832006294945121d1f1fc",
    ),
    "vgg19": _Published(
        f"{_KERAS}/vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "253f8cb515780f3b799900260a226db6",
    ),
}


def vgg_file(network: str, path: str, *, cache: Path | None = None) -> Path:
    """The file at `path`, or where `path` is empty the published one, downloaded once.

    Raises `ConfigError` for a missing file; `DownloadError` says where to get it and how to
    pass it.
    """
    if path:
        if not Path(path).is_file():
            raise ConfigError(f"losses.content.weights={path}: no such file")
        return Path(path)
    published = PUBLISHED[network]
    target = (cache or user_cache_path("fourfold") / "weights") / published.url.rsplit("/", 1)[1]
    try:
        return fetch(Download(published.url, md5=published.md5), target)
    except DownloadError as error:
        raise DownloadError(
            f"{network} weights: {error}; get {published.url} elsewhere and pass it with "
            "--set losses.content.weights=FILE (.h5, .pth or .safetensors)"
        ) from error


__all__ = ["PUBLISHED", "vgg_file"]
