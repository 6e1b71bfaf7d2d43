"""A look at what is to be enlarged, where the model depends on it: a part of a picture, a few frames.

The same input gets the same answer. What is found wrong with a file is left to those who read it for
its pixels: here it is just not known to be damaged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from fourfold.engine.choose import CLEAN, PHOTO, ModelChoice
from fourfold.engine.suits import Verdict, suits
from fourfold.engine.upscaler import Upscaler
from fourfold.errors import FourfoldError
from fourfold.films.decode import FrameReader
from fourfold.films.probe import VideoInfo
from fourfold.imaging.arrays import Image, to_float
from fourfold.imaging.defects import MEASURED_SIDE, measure, middle_of
from fourfold.jobs.engines import Engines, choose_model, is_open
from fourfold.jobs.records import Record, read_record
from fourfold.jobs.request import Request
from fourfold.pictures.sample import quality_of, read_sample
from fourfold.pictures.source import Source
from fourfold.pictures.vips import vips

logger = logging.getLogger(__name__)

_FRAMES: Final = 5
_FIRST: Final = 120
_DECODED: Final = 100_000_000
"""A film is judged by so many of its first frames, or, of large ones, of as many as have so many pixels
(12 of UHD): about a second's work."""

_UNKNOWN: Final = Verdict("clean", "it cannot be measured")


class Engine(NamedTuple):
    """What a request runs on, and why it is that."""

    upscaler: Upscaler
    why: str


def engine_for(
    request: Request,
    engines: Engines,
    look: Callable[[], Verdict],
    place: Callable[[], Path | None],
) -> Engine:
    """The engine of a request.

    Args:
        engines: where it is taken from.
        look: called where the choice depends on the input and no result tells how it went before.
        place: where the result will be.
    """
    if engines.given is not None or not is_open(request):
        given = is_open(request) and engines.given is not None
        why = "of the Upscaler that is given" if given else choose_model(request).why
        return Engine(engines.of(request), why)
    path = None if request.overwrite else place()
    made = None if path is None else read_record(path)
    choice = remembered(request, made) or choose_model(request, look())
    logger.info("%s: %s (%s)", request.name, *choice)
    return Engine(engines.of(request, choice), choice.why)


def remembered(request: Request, made: Record | None) -> ModelChoice | None:
    """What `auto` took for a result that is there, by its record."""
    model = (made or {}).get("model")
    if is_open(request) and model in (CLEAN[request.input], PHOTO[request.input]):
        return ModelChoice(str(model), "as for the result that is there")
    return None


def look_at_picture(source: Source) -> Verdict:
    """What its first page suits."""
    try:
        part = read_sample(source, MEASURED_SIDE)
    except (FourfoldError, vips().Error, OSError) as error:
        logger.debug("%s: not measured: %s", source.path, error)
        return _UNKNOWN
    if part is None:
        return _UNKNOWN
    return suits(measure(part, jpeg_quality=quality_of(source)))


def look_at_film(info: VideoInfo, start: Fraction | None) -> Verdict:
    """What frames of its first seconds suit, from `start` on (seconds from its beginning)."""
    try:
        found = [measure(frame) for frame in _frames(info, start)]
    except FourfoldError as error:
        logger.debug("%s: not measured: %s", info.path, error)
        return _UNKNOWN
    frames = [defects for defects in found if defects is not None]
    if not frames:
        return suits(None)
    shown = [defects for defects in frames if not defects.drawn]  # not black, not a title
    return suits(middle_of(shown or frames))


def _frames(info: VideoInfo, start: Fraction | None) -> Iterator[Image]:
    begin = None if start is None else info.start + start
    count = min(_FIRST, max(_FRAMES, _DECODED // (info.width * info.height)))
    count = min(count, info.expected_frames or count)
    for frame in islice(FrameReader(info, start=begin), 0, count, max(1, count // _FRAMES)):
        yield to_float(frame.pixels)


__all__ = ["Engine", "engine_for", "look_at_film", "look_at_picture", "remembered"]
