"""What tests of the picture path share: a network that only repeats pixels, and one-call runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyvips

from fourfold.engine.tiles import Box, plan_tiles
from fourfold.jobs.inputs import find_requests
from fourfold.jobs.outcome import Outcome
from fourfold.jobs.pipeline import run_all


class Nearest:
    """Stands for `Upscaler`: each pixel becomes `scale` by `scale` equal ones, tile by tile."""

    def __init__(self, scale: int = 2, *, tile: int = 100, max_memory: int = 10**9) -> None:
        self.scale, self.tile, self.max_memory = scale, tile, max_memory
        self.channels: list[int] = []
        self.network = SimpleNamespace(name="nearest", sha256=f"{scale}")
        self.tta, self.consistency = False, True

    def tiles(
        self, read: Any, height: int, width: int, channels: int
    ) -> Iterator[tuple[Box, np.ndarray]]:
        self.channels.append(channels)
        for kept, window in plan_tiles(height, width, tile=self.tile, halo=5):
            pixels = read(window)
            assert pixels.shape == (window.height, window.width, channels)
            inner = kept.within(window)
            small = pixels[inner.rows, inner.columns]
            large = small.repeat(self.scale, axis=0).repeat(self.scale, axis=1)
            yield kept.scaled(self.scale), large


def enlarge(
    *inputs: Path, out: Path, upscaler: Any = None, recursive: bool = False, **settings: Any
) -> list[Outcome]:
    """Outcomes of a run over `inputs` into the folder `out`."""
    requests, _ = find_requests(map(str, inputs), out, recursive=recursive, **settings)
    return list(run_all(requests, upscaler=upscaler or Nearest()))


def enlarged(source: Path, out: Path, **settings: Any) -> tuple[Outcome, Any]:
    """The outcome of one picture, which must be done, and the result opened."""
    (outcome,) = enlarge(source, out=out, **settings)
    assert outcome.status == "done", outcome.reason
    assert outcome.output is not None
    return outcome, opened(Path(outcome.output))


def opened(path: Path, **options: Any) -> Any:
    """All of a picture in memory."""
    return pyvips.Image.new_from_file(str(path), **options).copy_memory()


def image(pixels: np.ndarray, interpretation: str = "srgb") -> Any:
    """A libvips image of an array."""
    return pyvips.Image.new_from_array(np.ascontiguousarray(pixels)).copy(
        interpretation=interpretation
    )


def repeated(pixels: np.ndarray, scale: int = 2) -> np.ndarray:
    """What `Nearest` makes of a whole array."""
    return pixels.repeat(scale, axis=0).repeat(scale, axis=1)
