"""Contestants on films: what only shows from one frame to the next."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from fourfold.errors import InputError
from fourfold.evaluation.contestants import BICUBIC, Contestant, bicubic
from fourfold.films.decode import FrameReader
from fourfold.films.probe import probe
from fourfold.imaging.arrays import from_float, to_float
from fourfold.metrics.flicker import STILL, Flicker

PROTOCOL = (
    "flicker: mean |change of Y| between consecutive frames, in steps of 255, over the pixels "
    f"where that of bicubic is at most {STILL:g}"
)


def flicker_rows(
    contestants: Sequence[Contestant], films: Sequence[Path], *, frames: int
) -> list[dict[str, Any]]:
    """Flicker of each contestant but bicubic on the first `frames` frames of each film.

    Raises `InputError` for a film that cannot be read or has fewer than two frames.
    """
    rows = []
    for film in films:
        for contestant in contestants:
            if contestant.name != BICUBIC:
                found = score_film(contestant, film, frames=frames)
                rows.append(_row(contestant, film, found))
    return rows


def score_film(contestant: Contestant, film: Path, *, frames: int) -> Flicker:
    """Flicker of a contestant on the first `frames` frames; two pictures are held at a time."""
    reference = bicubic(contestant.scale)
    found = Flicker()
    previous = None
    for frame in islice(FrameReader(probe(film)), frames):
        lr = from_float(to_float(frame.pixels), np.uint8)
        now = contestant.upscale(lr), reference.upscale(lr)
        if previous is not None:
            found.add((previous[0], now[0]), (previous[1], now[1]))
        previous = now
    if not found.pixels:
        raise InputError(f"{film}: want two frames or more, got fewer")
    return found


def _row(contestant: Contestant, film: Path, found: Flicker) -> dict[str, Any]:
    return {
        "film": film.name,
        "model": contestant.name,
        "weights_sha256": contestant.weights_sha256,
        "settings": dict(contestant.settings),
        "still_share": round(found.still_share, 4),
        "flicker": round(found.sr, 4),
        "flicker_bicubic": round(found.bicubic, 4),
    }


__all__ = ["PROTOCOL", "flicker_rows", "score_film"]
