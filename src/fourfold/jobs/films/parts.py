"""A film cut into parts that can be made anywhere, and the folder in which they meet."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from typing import Any, Final

from fourfold.engine.upscaler import Upscaler
from fourfold.jobs.films.scratch import Scratch, fingerprint, open_scratch
from fourfold.jobs.films.settings import Plan

_FORMAT: Final = 2
"""Raised when segments of an earlier version would differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilmPart:
    """Frames of a film to be made into segments: a job of its own, which can be pickled.

    A segment is a function of its frames and the plan, so parts may be made anywhere and in any
    order, and their files are the same.
    """

    plan: Plan
    number: int = 0
    """Of the first segment of the part."""
    first: int = 0
    """Of its frames, counted from the beginning of the plan's window."""
    stop: int | None = None
    """The frame before which the part ends; None for the end of the film."""


def film_parts(plan: Plan) -> Iterator[FilmPart]:
    """A part for each segment; the last takes what there is beyond the frames expected."""
    size, total = plan.segment_frames, plan.expected_frames
    last = 0 if total is None else max(0, total - 1) // size
    for number in range(last):
        first = number * size
        yield FilmPart(plan=plan, number=number, first=first, stop=first + size)
    yield FilmPart(plan=plan, number=last, first=last * size, stop=plan.frames)


def film_scratch(plan: Plan, upscaler: Upscaler) -> AbstractContextManager[Scratch]:
    """Where `run_video` looks for the segments of a film, and where `render` may put them."""
    manifest = _manifest(plan, upscaler)
    return open_scratch(plan.output, fingerprint(plan.info.path, manifest), manifest)


def _manifest(plan: Plan, upscaler: Upscaler) -> dict[str, Any]:
    """Everything that changes a pixel or a time stamp of the result."""
    return {
        "format": _FORMAT,
        "source": plan.info.path.name,
        "stream": plan.info.stream,
        "interlaced": plan.info.interlaced,
        "pulldown": plan.pulldown,
        "encoding": asdict(plan.encoding),
        "start": plan.window.start,
        "end": plan.window.end,
        "frames": plan.frames,
        "preview": plan.preview,
        "segment_frames": plan.segment_frames,
        "weights": upscaler.network.sha256,
        "scale": upscaler.scale,
        "tta": upscaler.tta,
        "consistency": upscaler.consistency,
        "precision": upscaler.choice.precision,
        "backend": upscaler.choice.backend,
    }


__all__ = ["FilmPart", "film_parts", "film_scratch"]
