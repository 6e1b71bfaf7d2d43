"""What tests of the picture path share: a network that only repeats pixels, and one-call runs."""

from __future__ import annotations

import struct
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

    def notes(self, _width: int, _height: int) -> tuple[str, ...]:
        return ()

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


def adobe_like() -> bytes:
    """A display profile (ICC.1:2010) with Adobe RGB's primaries and its gamma of 2.2."""
    xyz = {
        b"rXYZ": (0.60974, 0.31111, 0.01947),
        b"gXYZ": (0.20528, 0.62567, 0.06087),
        b"bXYZ": (0.14919, 0.06322, 0.74457),
        b"wtpt": (0.9642, 1.0, 0.8249),
    }
    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, 0x233) + b"\0\0"
    text = b"mluc\0\0\0\0" + struct.pack(">II2s2sII4x", 1, 12, b"en", b"US", 2, 28)
    tags = {
        **{name: b"XYZ \0\0\0\0" + fixed(*places) for name, places in xyz.items()},
        **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve),
        **dict.fromkeys((b"desc", b"cprt"), text),
    }
    table, body = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(data))
        body += data
    size = 128 + len(table) + len(body)
    head = struct.pack(">I4xI4s4s4s12x4s", size, 0x04200000, b"mntr", b"RGB ", b"XYZ ", b"acsp")
    return head.ljust(68, b"\0") + fixed(0.9642, 1.0, 0.8249) + b"\0" * 48 + table + body


def fixed(*numbers: float) -> bytes:
    """As ICC profiles write numbers."""
    return struct.pack(f">{len(numbers)}i", *(round(number * 65536) for number in numbers))
