"""What a report shows of one picture: whole views for the slider, crops where models differ."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from fourfold.evaluation.contestants import BICUBIC
from fourfold.evaluation.evaluate import Scene
from fourfold.imaging.color import rgb_to_y

Rgb8 = npt.NDArray[np.uint8]

HR: Final = "HR"
CROP_SIDE: Final = 72
NUM_CROPS: Final = 2
VIEW_SIDE: Final = 1280
"""Larger pictures are shown by the window of this side where the models differ most."""
WEBP_QUALITY: Final = 90


@dataclass(frozen=True, slots=True)
class Window:
    """A box of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    def of(self, image: Rgb8) -> Rgb8:
        """The pixels inside."""
        return image[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exhibit:
    """One picture, encoded. `views` is empty when the report's budget was spent before it."""

    dataset: str
    image: str
    scale: int
    size: tuple[int, int]
    """Height and width of HR."""

    view: Window
    views: Mapping[str, str]
    """Variant to data URI of a whole view, lossy."""

    crops: Sequence[tuple[Window, Mapping[str, str]]]
    """Window and, for each variant, its pixels as a lossless data URI."""

    notes: Mapping[str, str]
    """Variant to its score in words."""

    num_bytes: int


def make_exhibit(scene: Scene, *, with_views: bool) -> Exhibit:
    """Encode the variants of a scene: bicubic first, then the models, then HR."""
    variants = {**scene.results, HR: scene.hr}
    difference = disagreement(scene.results)
    view = where_largest(difference, VIEW_SIDE)
    crops = [
        (window, {name: png_uri(window.of(image)) for name, image in variants.items()})
        for window in separate_windows(difference, CROP_SIDE, NUM_CROPS)
    ]
    views = {n: webp_uri(view.of(i)) for n, i in variants.items()} if with_views else {}
    notes = {
        name: f"{score.scores.psnr_y:.2f} dB, SSIM {score.scores.ssim_y:.3f}"
        for name, score in scene.scores.items()
    }
    texts = [*views.values(), *(uri for _, row in crops for uri in row.values())]
    return Exhibit(
        dataset=scene.dataset.name,
        image=scene.image,
        scale=scene.dataset.scale,
        size=(scene.hr.shape[0], scene.hr.shape[1]),
        view=view,
        views=views,
        crops=crops,
        notes=notes | {HR: "the original"},
        num_bytes=sum(map(len, texts)),
    )


def disagreement(results: Mapping[str, Rgb8]) -> npt.NDArray[np.float64]:
    """Range of luma over the models at each pixel, `(H, W)`; a lone model against bicubic."""
    models = [image for name, image in results.items() if name != BICUBIC]
    shown = models if len(models) > 1 else list(results.values())
    lumas = np.stack([rgb_to_y(image) for image in shown])
    spread: npt.NDArray[np.float64] = np.ptp(lumas, axis=0)
    return spread


def where_largest(amount: npt.NDArray[np.float64], side: int) -> Window:
    """The window of at most `side` squared with the largest sum of `amount`, first of equals."""
    height, width = (min(side, length) for length in amount.shape)
    total = np.pad(amount.cumsum(axis=0).cumsum(axis=1), ((1, 0), (1, 0)))
    sums = (
        total[height:, width:]
        - total[:-height, width:]
        - total[height:, :-width]
        + total[:-height, :-width]
    )
    # Rounded, so that equal sums that went through different additions stay equal.
    top, left = np.unravel_index(int(sums.round(3).argmax()), sums.shape)
    return Window(int(top), int(left), height, width)


def separate_windows(amount: npt.NDArray[np.float64], side: int, count: int) -> list[Window]:
    """Up to `count` windows of the largest sums that do not overlap."""
    remaining = amount.copy()
    windows: list[Window] = []
    for _ in range(count):
        window = where_largest(remaining, side)
        if any(_overlap(window, taken) for taken in windows):
            break
        windows.append(window)
        rows = slice(window.top, window.top + window.height)
        columns = slice(window.left, window.left + window.width)
        # Far below any sum of lumas, so that a window touching it loses to any other.
        remaining[rows, columns] = -1e6
    return windows


def _overlap(a: Window, b: Window) -> bool:
    rows = a.top < b.top + b.height and b.top < a.top + a.height
    return rows and a.left < b.left + b.width and b.left < a.left + a.width


def webp_uri(image: Rgb8) -> str:
    """A lossy data URI, fine enough to judge texture by."""
    return _uri("image/webp", _vips(image).webpsave_buffer(Q=WEBP_QUALITY, keep="none"))


def png_uri(image: Rgb8) -> str:
    """A lossless data URI."""
    return _uri("image/png", _vips(image).pngsave_buffer(compression=9, keep="none"))


def _vips(image: Rgb8) -> Any:
    import pyvips

    return pyvips.Image.new_from_array(np.ascontiguousarray(image)).copy(interpretation="srgb")


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


__all__ = [
    "HR",
    "Exhibit",
    "Window",
    "disagreement",
    "make_exhibit",
    "png_uri",
    "separate_windows",
    "webp_uri",
    "where_largest",
]
