"""How large a tile may be for a given amount of memory."""

from __future__ import annotations

import re
from typing import Final

from fourfold.engine.network import Network
from fourfold.engine.tiles import Box, plan_tiles
from fourfold.errors import UsageError, option

LEAST_TILE: Final = 32
"""The halo of the bundled networks is 40 pixels: smaller tiles are nearly all halo."""
LEAST_MEMORY: Final = 300_000_000
"""Interpreter, runtime and network take about 200 MB before the first tile."""

_PROCESS: Final = 200_000_000
"""Resident bytes besides the tile: interpreter, runtime, compiled networks, decoder, encoder."""

_STORES_SHARE: Final = 0.1
"""Part of the budget for pixels waiting in memory (`jobs.picture`)."""

_BYTES_PER_FLOAT: Final = 5.4
"""Of a window: 4, and room for what a runtime copies. The peak of SRResNet's trunk, 259 numbers for
each pixel, was 1400 bytes in `benchmarks/pictures.py --memory`."""

_BYTES_PER_RESULT_PIXEL: Final = 12.5
"""Three numbers of the kept part, and what goes with them."""

_DIGITS: Final = 9
"""More than any picture's side has."""

_VALUES_AT_END: Final = 3
"""Numbers for each of the result's that a program from pixels to pixels holds at its end."""

_LARGEST: Final = 768
_SMALLEST: Final = 64


def parse_memory(text: str | int) -> int:
    """Bytes of `1GB`, `800M`, `1.5GiB` or a number; `UsageError` otherwise and below 300 MB.

    >>> parse_memory("1GB"), parse_memory("1GiB"), parse_memory("800m")
    (1000000000, 1073741824, 800000000)
    """
    size = parse_size(text, option("max_memory"))
    if size < LEAST_MEMORY:
        raise UsageError(
            f"{option('max_memory')}: want at least {LEAST_MEMORY // 10**6}MB, which the program and "
            f"a tile of sensible size take, got {text!r}"
        )
    return size


def parse_size(text: str | int, name: str) -> int:
    """Bytes, above 0, of what the option `name` is given; `UsageError` otherwise."""
    match = re.fullmatch(r"\s*([\d.]+)\s*([KMGT]?)(I?)B?\s*", str(text).upper())
    try:
        if match is None:
            raise ValueError(text)
        base = 1024 if match[3] else 1000
        power = "KMGT".find(match[2]) + 1 if match[2] else 0
        size = int(float(match[1]) * base**power)
    except (ValueError, OverflowError):
        raise UsageError(f"{name}: want a size such as 1GB or 800MB, got {text!r}") from None
    if size < 1:
        raise UsageError(f"{name}: want more than 0, got {text!r}")
    return size


def parse_tile(value: int | str) -> int | None:
    """Side of a tile in LR pixels; None, to be planned, for `auto` and Real-ESRGAN's 0.

    `UsageError` for anything else, and for less than 32.

    >>> parse_tile("256"), parse_tile("auto"), parse_tile(0)
    (256, None, None)
    """
    text = str(value)
    if text in ("auto", "0"):
        return None
    if not text.isdecimal() or len(text) > _DIGITS:
        raise UsageError(f"{option('tile')}: want a number of LR pixels or auto, got {value!r}")
    if int(text) < LEAST_TILE:
        raise UsageError(
            f"{option('tile')}: want at least {LEAST_TILE}, got {text}: smaller tiles are mostly "
            "overlap"
        )
    return int(text)


def share_of(budget: int, lanes: int) -> int:
    """What each of several windows at once may count on, as if it were the only one."""
    return int(
        (budget * (1 - _STORES_SHARE) - _PROCESS) / lanes + _PROCESS + budget * _STORES_SHARE
    )


def plan_tile(
    network: Network, framed: Box, region: Box, *, halo: int, budget: int, in_one: bool = False
) -> int:
    """Side of the largest tile that should keep the process under `budget` bytes.

    Args:
        framed: the picture with all that may be read around it.
        region: the part of it that is enlarged.
        halo: context of a tile, in LR pixels.
        in_one: the network and all around it is one program, which ends at low resolution.
    """
    room = budget * (1 - _STORES_SHARE) - _PROCESS
    floats = network.parts[0].traits.floats_per_pixel
    if in_one:
        floats = max(floats, _VALUES_AT_END * network.channels * network.scale**2)
    per_window = _BYTES_PER_FLOAT * floats
    per_kept = _BYTES_PER_RESULT_PIXEL * network.scale**2
    tile = _LARGEST
    while tile > _SMALLEST:
        plan = plan_tiles(
            framed.height, framed.width, tile=tile, halo=halo, region=region, step=network.step
        )
        if all(window.area * per_window + kept.area * per_kept <= room for kept, window in plan):
            break
        tile -= 32
    return tile


__all__ = [
    "LEAST_MEMORY",
    "LEAST_TILE",
    "parse_memory",
    "parse_size",
    "parse_tile",
    "plan_tile",
    "share_of",
]
