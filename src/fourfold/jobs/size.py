"""How large the result becomes: a factor, or the largest size inside a named frame."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import ceil
from typing import Final

from fourfold.errors import UsageError, option

FRAMES: Final = {
    "480p": (854, 480),
    "720p": (1280, 720),
    "1080p": (1920, 1080),
    "1440p": (2560, 1440),
    "2k": (2048, 1080),
    "4k": (3840, 2160),
    "8k": (7680, 4320),
}
"""Width and height people mean by these names (2k: DCI; 4k and 8k: UHD)."""

SCALE_RANGE: Final = (1.0, 16.0)

_AGAIN: Final = 1.5
"""How much is left to enlarge from which the network runs once more: less is not worth the time."""


@dataclass(frozen=True, slots=True)
class TargetSize:
    """What was asked for: a `scale`, a frame to `fit`, or neither (the network's own factor)."""

    scale: float | None = None
    fit: tuple[int, int] | None = None
    label: str = ""

    @classmethod
    def parse(cls, scale: float | None, fit: str | None) -> TargetSize:
        """From `--scale` and `--fit`; `UsageError` for values out of range or both at once."""
        if scale is not None and fit is not None:
            raise UsageError(f"{option('scale')} and {option('fit')}: want one of them, got both")
        if scale is not None and not SCALE_RANGE[0] <= scale <= SCALE_RANGE[1]:
            raise UsageError(f"{option('scale')}: want a number from 1 to 16, got {scale:g}")
        return cls(scale, None if fit is None else _parse_frame(fit), (fit or "").lower())

    def of(self, width: int, height: int, network_scale: int) -> tuple[int, int]:
        """Width and height of the result for a picture of `width` by `height`.

        With a frame: the largest size inside it with the aspect kept.
        """
        if self.fit is None:
            factor = self.scale or float(network_scale)
        else:
            frame_width, frame_height = self.fit
            factor = min(frame_width / width, frame_height / height)
        return max(1, round(width * factor)), max(1, round(height * factor))

    def suffix(self, network_scale: int) -> str:
        """What is added to a file name: `_x4`, `_x2.5`, `_1080p`."""
        if self.fit is not None:
            return f"_{self.label}"
        return f"_x{self.scale or network_scale:g}"


def passes(size: tuple[int, int], wanted: tuple[int, int], network: int) -> list[tuple[int, int]]:
    """Sizes after each run of a network that enlarges `network` times; the last one is `wanted`.

    What a run gives is resized to the next size. Small steps come first, since they cost least.

    >>> passes((10, 10), (80, 80), 4), passes((10, 10), (50, 50), 4)
    ([(20, 20), (80, 80)], [(50, 50)])
    """
    sizes = [wanted]
    while (
        network > 1 and max(b / a for a, b in zip(size, sizes[0], strict=True)) >= _AGAIN * network
    ):
        sizes.insert(0, (ceil(sizes[0][0] / network), ceil(sizes[0][1] / network)))
    return sizes


def work(size: tuple[int, int], wanted: tuple[int, int], network: int) -> int:
    """Pixels a network sees in all `passes`."""
    return sum(a * b for a, b in (size, *passes(size, wanted, network)[:-1]))


def _parse_frame(text: str) -> tuple[int, int]:
    if text.lower() in FRAMES:
        return FRAMES[text.lower()]
    match = re.fullmatch(r"(\d+)x(\d+)", text.lower())
    if match is None or min(int(match[1]), int(match[2])) < 1:
        raise UsageError(f"{option('fit')}: want {', '.join(FRAMES)} or WIDTHxHEIGHT, got {text!r}")
    return int(match[1]), int(match[2])


__all__ = ["FRAMES", "SCALE_RANGE", "TargetSize", "passes", "work"]
