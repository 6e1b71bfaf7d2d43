"""A network from bytes to planes gives what its RGB becomes when it is encoded."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from fourfold.engine.upscaler import Upscaler
from fourfold.films.encode import Encoding, to_frame
from fourfold.films.probe import Colour
from fourfold.imaging.yuv import Planes, Yuv
from fourfold.runtimes.openvino import cpu_precisions
from fourfold.runtimes.planes import gather_planes
from tests.models import plain_model, small_tiles, tiny_model
from tests.runtimes.test_pixels import picture

pytest.importorskip("av")
SHAPES = ((36, 52, 3), (9, 11, 3))
WAYS = [Yuv(1, False), Yuv(5, True), Yuv(9, False), Yuv(7, False), Yuv(4, True)]


def encoding(shape: tuple[int, ...], yuv: Yuv, scale: int = 4) -> Encoding:
    return Encoding(
        codec="h264",
        crf=None,
        preset=None,
        width=shape[1] * scale,
        height=shape[0] * scale,
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        pixel_aspect=Fraction(1),
        depth=8,
        colour=Colour(matrix=yuv.matrix, full_range=yuv.full_range, primaries=2, transfer=2),
    )


def gentle(shape: tuple[int, ...]) -> np.ndarray:
    """With few places that the network drives out of range: RGB is clipped there first."""
    return np.uint8(60 + picture(shape) * 0.5)


def colour_of(rgb: np.ndarray, yuv: Yuv) -> np.ndarray:
    """Cb and Cr of each four pixels `(2, H / 2, W / 2)`, not rounded."""
    height, width = rgb.shape[:2]
    fours = rgb.reshape(height // 2, 2, width // 2, 2, 3).mean((1, 3)) / 255
    planes: np.ndarray = 128 + np.moveaxis(fours @ yuv.weights[1:].T, 2, 0)
    return planes


def both(up: Upscaler, lr: np.ndarray, yuv: Yuv) -> tuple[np.ndarray, np.ndarray]:
    """Planes from the program, and from RGB by FFmpeg."""
    planes = up.planes(lr, yuv)
    assert planes is not None
    told = encoding(lr.shape, yuv, up.scale)
    return planes.data.astype(int), to_frame(up.upscale(lr), told).to_ndarray().astype(int)


@pytest.mark.parametrize("yuv", WAYS, ids=str)
@pytest.mark.parametrize("consistency", [False, True])
def test_fp32_equals_the_conversion_of_rgb(yuv: Yuv, consistency: bool) -> None:
    up = Upscaler(plain_model(), precision="fp32", consistency=consistency)
    for shape in SHAPES:
        now, usual = both(up, gentle(shape), yuv)
        height = shape[0] * 4
        rgb = up.upscale(gentle(shape))
        inside = (rgb.min(axis=2) > 0) & (rgb.max(axis=2) < 255)
        assert inside.mean() > 0.95
        off = np.abs(now - usual)
        assert off[:height][inside].max() <= 1  # RGB is rounded once more
        assert off[:height][inside].mean() < 0.3
        # FFmpeg takes colour from more than the four pixels.
        assert np.abs(now[height:].ravel() - colour_of(rgb, yuv).ravel()).mean() < 0.6


def test_planes_of_scale_8() -> None:
    now, usual = both(Upscaler(plain_model(scale=8), precision="fp32"), gentle(SHAPES[0]), WAYS[0])
    assert np.abs(now - usual)[: 36 * 8].mean() < 0.5


@pytest.mark.skipif("bf16" not in cpu_precisions(), reason="this CPU has no bf16")
def test_bf16_is_about_as_exact_as_rgb() -> None:
    lr, yuv = gentle(SHAPES[0]), WAYS[0]
    exact, _ = both(Upscaler(plain_model(), precision="fp32"), lr, yuv)
    now, usual = both(Upscaler(plain_model(), precision="bf16"), lr, yuv)
    assert np.abs(now - exact).mean() <= np.abs(usual - exact).mean() + 0.05


@pytest.mark.parametrize("full_range", [False, True])
def test_nothing_leaves_the_range(full_range: bool) -> None:
    up = Upscaler(plain_model(), precision="fp32")
    yuv = Yuv(1, full_range)
    ends = np.zeros((16, 16, 3), np.uint8)
    ends[:, 8:] = (255, 255, 254)  # no grey picture, which goes another way
    planes = up.planes(ends, yuv)
    assert planes is not None
    luma, colour = np.split(planes.data, [64])
    assert (luma.min(), luma.max()) == (yuv.offsets[0], yuv.highest[0])
    assert yuv.offsets[0] <= colour.min() <= colour.max() <= yuv.highest[1]


def test_sub_pixels_land_where_they_belong() -> None:
    height, width, scale = 3, 5, 4
    y, x = np.mgrid[: height * scale, : width * scale]
    luma = np.uint8(y * width * scale + x)
    colour = np.uint8(np.arange(height * 2 * width * 2).reshape(height * 2, width * 2))

    def cells(plane: np.ndarray, side: int) -> np.ndarray:
        apart = plane.reshape(height, side, width, side).transpose(0, 2, 1, 3)
        return apart.reshape(height, width, side**2)

    packed = np.concatenate([cells(luma, 4), cells(colour, 2), cells(colour + 99, 2)], axis=2)
    made = gather_planes(packed, scale)
    assert np.array_equal(made[: height * scale], luma)
    wanted = np.concatenate([colour.ravel(), (colour + 99).ravel()])
    assert np.array_equal(made[height * scale :].ravel(), wanted)


def test_planes_are_resized_as_the_film_wants_them() -> None:
    up, yuv, lr = Upscaler(plain_model(), precision="fp32"), WAYS[0], gentle((36, 52, 3))
    half = replace(encoding(lr.shape, yuv), width=104, height=72)
    planes = up.planes(lr, yuv)
    assert planes is not None
    now, usual = (to_frame(made, half) for made in (planes, up.upscale(lr)))
    assert (now.width, now.height, now.color_range, now.colorspace) == (104, 72, 1, 1)
    difference = np.abs(now.to_ndarray().astype(int) - usual.to_ndarray())
    assert difference[:72].mean() < 0.5


def test_other_pictures_and_networks_stay_rgb() -> None:
    yuv, lr = WAYS[0], picture((24, 24, 3))
    up = Upscaler(plain_model(), precision="fp32")
    assert isinstance(up.planes(lr, yuv), Planes)
    grey = np.repeat(lr[..., :1], 3, axis=2)
    for other in (grey, lr.astype(np.uint16), lr[:6]):
        assert up.planes(other, yuv) is None
    assert small_tiles(Upscaler(plain_model(), precision="fp32"), 12).planes(lr, yuv) is None
    for network in (tiny_model(), plain_model(scale=2), plain_model(scale=3)):
        assert Upscaler(network, precision="fp32").planes(lr, yuv) is None


def test_what_a_trial_compiles_is_what_the_film_runs_on() -> None:
    up = Upscaler(plain_model(), precision="fp32")
    first = up.for_frames(24, 24)
    if first is up:
        pytest.skip("one core")
    assert up.for_frames(24, 24)._windows is first._windows is first.for_frames(24, 24)._windows
