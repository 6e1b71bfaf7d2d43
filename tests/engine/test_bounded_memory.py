"""Memory does not grow with the picture; tiles cost little more than the whole."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from fourfold.engine import upscaler
from fourfold.engine.tiles import plan_tiles
from fourfold.engine.upscaler import Upscaler
from fourfold.runtimes.program import Program
from fourfold.weights.format import save_model
from fourfold.weights.to_onnx import build_onnx
from fourfold.weights.zoo import get_model
from tests.made_pictures import image
from tests.models import plain_network, tiny_model

PEAK = """
import resource, sys
from fourfold.jobs.door import upscale_file
upscale_file(sys.argv[1], sys.argv[2], model=sys.argv[3], max_memory=sys.argv[4], tile=512, overwrite=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def peak(folder: Path, side: int, suffix: str, max_memory: str) -> int:
    """Resident kilobytes at most while a `side` by `side` picture is enlarged."""
    tile = np.random.default_rng(0).integers(0, 256, (250, 250, 3), np.uint8)
    path = folder / f"{side}.png"
    image(tile).replicate(side // 250, side // 250).pngsave(str(path))
    arguments = [str(path), str(folder / f"out{suffix}"), str(folder / "m.safetensors"), max_memory]
    run = [sys.executable, "-c", PEAK, *arguments]
    return int(subprocess.run(run, capture_output=True, text=True, check=True, timeout=240).stdout)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="kilobytes of ru_maxrss are Linux's")
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tiff"])
def test_memory_does_not_grow_with_the_picture(tmp_path: Path, suffix: str) -> None:
    # As wide as SRResNet, so that a tile takes what it takes in earnest.
    save_model(tiny_model(num_blocks=1, width=64), tmp_path / "m.safetensors")
    small = peak(tmp_path, 1000, suffix, "1GB")
    large = peak(tmp_path, 2000, suffix, "1GB")
    assert large < 1.1 * small


class Counted:
    """A backend that only counts the pixels it is asked for, and gives zeros."""

    def __init__(self, program: Program, seen: list[float]) -> None:
        self.program, self.seen = program, seen
        self.flops = program.traits.flops_per_pixel

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        _, _, height, width = inputs[0].shape
        self.seen.append(self.flops * height * width)
        scale = self.program.traits.scale
        return [
            np.zeros((1, 3 if name == "sr" else 64, height * scale, width * scale), np.float32)
            for name in self.program.outputs
        ]


def work(
    height: int,
    width: int,
    *,
    model: str | Path = "srgan-x4",
    channels: int = 3,
    consistency: bool = True,
) -> float:
    """Operations the network is asked for, over those of the picture in one piece."""
    up = Upscaler(model, backend="openvino", consistency=consistency)
    seen: list[float] = []
    up._windows._backend = lambda program, precision: Counted(program, seen)
    lr = np.full((1, 1, channels), 255, np.uint8)
    read = lambda box: np.broadcast_to(lr, (box.height, box.width, channels))  # noqa: E731
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(upscaler, "back_project", lambda sr, lr: sr)
        for _ in up.tiles(read, height, width, channels):
            pass
    return sum(seen) / (up.network.whole.traits.flops_per_pixel * height * width)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize(
    ("height", "width"), [(480, 640), (700, 700), (1080, 1920), (1200, 1600), (2048, 2048)]
)
def test_exact_tiling_costs_at_most_a_quarter_more(height: int, width: int, channels: int) -> None:
    # Consistency, its mirrored border and the context of transparency included.
    assert 1.0 < work(height, width, channels=channels) <= 1.25


def test_small_pictures_cost_nothing_more() -> None:
    assert work(128, 128, consistency=False) == pytest.approx(1.0)


def test_plans_cover_once_with_halo() -> None:
    covered = np.zeros((100, 130), int)
    for kept, window in plan_tiles(100, 130, tile=33, halo=7):
        covered[kept.rows, kept.columns] += 1
        assert window.top <= max(kept.top - 7, 0)
    assert (covered == 1).all()


def test_a_plain_onnx_network_costs_at_most_a_quarter_more_and_equals_the_untiled_one(
    tmp_path: Path,
) -> None:
    (tmp_path / "m.onnx").write_bytes(build_onnx(*plain_network(depth=8)).SerializeToString())
    assert work(700, 1000, model=tmp_path / "m.onnx") <= 1.25
    lr = np.random.default_rng(0).integers(0, 256, (700, 1000, 3), np.uint8)
    tiled, untiled = (
        Upscaler(tmp_path / "m.onnx", precision="fp32", tile=tile, consistency=False).upscale(lr)
        for tile in (300, 4096)
    )
    assert np.abs(tiled.astype(int) - untiled).max() <= 1


def test_a_foreign_onnx_network_with_a_large_upsampler_costs_as_little(tmp_path: Path) -> None:
    model = get_model("srgan-x4")
    (tmp_path / "m.onnx").write_bytes(build_onnx(model.graph, model.tensors).SerializeToString())
    for height, width in ((480, 640), (700, 1000), (2048, 2048)):
        assert work(height, width, model=tmp_path / "m.onnx") <= 1.25
