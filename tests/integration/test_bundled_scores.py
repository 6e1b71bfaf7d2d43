"""The bundled models reach their published scores through the public `Upscaler`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fourfold import Upscaler
from fourfold.imaging.resize import imresize
from fourfold.metrics.protocol import score_pair
from fourfold.pictures.images import read_pixels
from fourfold.runtimes.openvino import cpu_precisions


def scores(bench: Path, dataset: str, **options: Any) -> tuple[float, float]:
    """Mean PSNR-Y and largest move of a picture's mean colour, of 255."""
    up = Upscaler(**options)
    psnr, drift = [], []
    for path in sorted((bench / dataset / "HR").glob("*.png")):
        lr = read_pixels(bench / dataset / "LR_bicubic" / "X4" / f"{path.stem}x4.png")
        sr = up.upscale(lr)
        hr = read_pixels(path)[: sr.shape[0], : sr.shape[1]]
        psnr.append(score_pair(sr, hr, scale=4).psnr_y)
        moved = imresize(sr.astype(np.float64), 0.25).mean((0, 1)) - lr.mean((0, 1))
        drift.append(np.abs(moved).max())
    return float(np.mean(psnr)), float(np.max(drift))


PRECISIONS = ["fp32", "bf16"]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("model", "wanted"), [("srresnet-x4", 32.01), ("srgan-x4", 30.48)])
def test_set5(bench: Path, model: str, wanted: float, precision: str) -> None:
    if precision not in cpu_precisions():
        pytest.skip(f"this CPU has no {precision}")
    psnr, _ = scores(bench, "Set5", model=model, precision=precision, consistency=False)
    assert psnr == pytest.approx(wanted, abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("model", "wanted"), [("srresnet-x4", 28.54), ("srgan-x4", 27.44)])
def test_set14(bench: Path, model: str, wanted: float, precision: str) -> None:
    if precision not in cpu_precisions():
        pytest.skip(f"this CPU has no {precision}")
    psnr, _ = scores(bench, "Set14", model=model, precision=precision, consistency=False)
    assert psnr == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize("colour", [(0, 0, 0), (10, 10, 60), (200, 20, 20), (255, 255, 255)])
def test_flat_pictures_get_no_marks_at_their_borders(colour: tuple[int, int, int]) -> None:
    image = np.full((40, 48, 3), colour, np.uint8)
    sr = Upscaler("srgan-x4").upscale(image).astype(int)
    assert np.abs(sr - np.array(colour)).max() <= 6


@pytest.mark.slow
@pytest.mark.parametrize("tta", [False, True])
@pytest.mark.parametrize("consistency", [False, True])
@pytest.mark.parametrize("precision", PRECISIONS)
def test_tiles_of_a_photograph_cannot_be_seen(
    bench: Path, precision: str, consistency: bool, tta: bool
) -> None:
    if precision not in cpu_precisions():
        pytest.skip(f"this CPU has no {precision}")
    photo = read_pixels(bench / "Set14" / "LR_bicubic" / "X4" / "ppt3x4.png")[:120, :100]
    y, x = np.mgrid[: photo.shape[0], : photo.shape[1]]
    alpha = np.clip(300 - np.hypot(y - 60, x - 50) * 6, 0, 255).astype(np.uint8)
    for image in (photo, np.dstack([photo, alpha]), photo[..., 1].astype(np.uint16) * 257):
        whole, tiled = (
            Upscaler(precision=precision, consistency=consistency, tta=tta, tile=tile).upscale(
                image
            )
            for tile in (4096, 32)
        )
        step = 257 if image.dtype == np.uint16 else 1
        assert np.abs(whole.astype(int) - tiled).max() <= step


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "least"), [("Set5", 30.1), ("Set14", 26.8)])
def test_consistency_gains_and_stops_the_drift(bench: Path, dataset: str, least: float) -> None:
    psnr, drift = scores(bench, dataset)
    assert psnr >= least
    assert drift < 0.2


@pytest.mark.slow
@pytest.mark.parametrize(("dataset", "least"), [("Set5", 32.17), ("Set14", 28.64)])
def test_tta(bench: Path, dataset: str, least: float) -> None:
    assert scores(bench, dataset, model="srresnet-x4", tta=True)[0] >= least


@pytest.mark.slow
def test_texture_half_lies_between_its_ends(bench: Path) -> None:
    psnr = {t: scores(bench, "Set5", texture=t)[0] for t in (0.0, 0.5, 1.0)}
    assert psnr[1.0] < psnr[0.5] < psnr[0.0]


@pytest.mark.parametrize(("texture", "model"), [(0.0, "srresnet-x4"), (1.0, "srgan-x4")])
def test_texture_ends_are_the_two_models(texture: float, model: str) -> None:
    lr = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
    assert np.array_equal(Upscaler(texture=texture).upscale(lr), Upscaler(model).upscale(lr))
