"""Frames through FFmpeg's filters: interlaced pictures made whole, 3:2 pulldown found and undone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain as chain_of
from itertools import groupby, islice, pairwise
from typing import Any, Final

import numpy as np

from fourfold.films.probe import VideoInfo, open_input
from fourfold.films.pyav import load_av

Chain = Sequence[tuple[str, str]]
"""Names of filters and what they are told."""

DEINTERLACE: Final[Chain] = (("bwdif", "mode=send_frame:deint=interlaced"),)

MATCH_FIELDS: Final[Chain] = (("fieldmatch", "order=auto:combmatch=full"),)

UNDO_PULLDOWN: Final[Chain] = (*MATCH_FIELDS, *DEINTERLACE, ("decimate", ""))
"""Fields of one picture meet again, what stays combed is deinterlaced, the one of five frames that
repeats another goes."""

CYCLE: Final = 5
"""Frames of video for four of film."""
_LOOKED_AT: Final = 12 * CYCLE
_REPEATED: Final = 0.2
"""Change of a repeated frame, as a share of that of the others, below which it counts as one."""


def filtered(frames: Iterator[Any], info: VideoInfo, chain: Chain) -> Iterator[Any]:
    """What the filters make of decoded frames; time stamps in the film's own units.

    Frames of another size or format get filters of their own.
    """
    for _, alike in groupby(frames, key=lambda f: (f.width, f.height, f.format.name)):
        first = next(alike)
        graph = _graph(first, info, chain)
        for frame in chain_of((first,), alike, (None,)):
            graph.push(frame)
            yield from _pulled(graph, info.time_base)


def _graph(frame: Any, info: VideoInfo, chain: Chain) -> Any:
    graph = load_av().filter.Graph()
    source = graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:"
        f"time_base={info.time_base}:frame_rate={info.rate}:"
        f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
    )
    nodes = [graph.add(name, options or None) for name, options in chain]
    graph.link_nodes(source, *nodes, graph.add("buffersink"))
    graph.configure()
    return graph


def _pulled(graph: Any, time_base: Fraction) -> Iterator[Any]:
    av = load_av()
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        # Filters count in units of their own, such as half ones for the fields they could send.
        factor = Fraction(frame.time_base) / time_base
        if frame.pts is not None:
            frame.pts = round(frame.pts * factor)
        frame.duration = round((frame.duration or 0) * factor)
        frame.time_base = time_base
        yield frame


def has_pulldown(info: VideoInfo) -> bool:
    """Whether the film begins with 3:2 pulldown: with fields matched, every fifth frame is repeated.

    Looks at five seconds at most. False for films that stand still, of which nobody can tell.
    """
    with open_input(info.path) as container:
        decoded = container.decode(container.streams[info.stream])
        looked_at = islice(filtered(decoded, info, MATCH_FIELDS), _LOOKED_AT)
        lumas = [frame.to_ndarray(format="gray")[::2, ::2].astype(np.int16) for frame in looked_at]
    changes = np.array([np.abs(b - a).mean() for a, b in pairwise(lumas)])
    cycles = changes[: len(changes) // CYCLE * CYCLE].reshape(-1, CYCLE)
    if len(cycles) < 2:
        return False
    by_place = np.median(cycles, axis=0)
    return bool(by_place.min() < _REPEATED * np.median(np.delete(by_place, by_place.argmin())))


__all__ = ["CYCLE", "DEINTERLACE", "UNDO_PULLDOWN", "filtered", "has_pulldown"]
