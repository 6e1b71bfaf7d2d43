"""A film that is watched while it is made: Matroska to a pipe, with everything else of the source."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, Final

from fourfold.errors import OutputError
from fourfold.films.encode import Encoding, SegmentEncoder
from fourfold.films.join import Joined, Timed, Window, write_film
from fourfold.films.packets import Stamp
from fourfold.films.probe import VideoInfo, open_input
from fourfold.films.pyav import load_av, reason

STDOUT: Final = 1
"""The file descriptor of standard output."""

_OPTIONS: Final = {"fflags": "+bitexact+flush_packets", "default_mode": "passthrough"}
"""Every packet goes on at once. A pipe cannot be wound back, so FFmpeg leaves sizes open and begins
a cluster every second."""


def send_film(
    info: VideoInfo,
    frames: Iterable[tuple[Any, Stamp]],
    encoding: Encoding,
    window: Window,
    *,
    closed: bool,
    target: int = STDOUT,
) -> Joined:
    """Encode frames as they come and write them with all other streams of the source.

    Args:
        frames: from `to_frame`, with when they are shown.
        closed: the film ends with the last of them, though the source goes on.
        target: file descriptor of a pipe; it stays open.

    Raises `BrokenPipeError` when nobody reads any more, `OSError` when the pipe fails otherwise,
    `OutputError` for other failures.
    """
    av = load_av()
    joined, pipe = Joined(), _Pipe(target)
    try:
        with (
            open_input(info.path) as source,
            av.open(
                pipe, "w", format="matroska", container_options=dict(_OPTIONS),
                metadata_errors="surrogateescape",
            ) as out,
        ):  # fmt: skip
            packets = _encoded(frames, encoding, window)
            write_film(source, out, info, packets, encoding, window, joined, closed=closed)
    except (av.error.FFmpegError, ValueError) as error:
        if pipe.failure is not None:
            raise pipe.failure from None
        raise OutputError(
            f"{info.path}: its larger version cannot be written ({reason(error)})"
        ) from error
    return joined


class _Pipe:
    """What FFmpeg writes through: it would hold Python's lock while a paused player does not read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.failure: OSError | None = None
        """Why writing failed; PyAV loses it where FFmpeg writes on while a file is closed."""

    def write(self, data: bytes) -> int:
        """Write all of it, however long that takes."""
        rest = memoryview(data)
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            self.failure = error
            raise
        return len(data)


def _encoded(
    frames: Iterable[tuple[Any, Stamp]], encoding: Encoding, window: Window
) -> Iterator[Timed]:
    """Packets as soon as the encoder hands them out, shifted to the window."""
    shift = round(window.shift / encoding.time_base)
    encoder = SegmentEncoder(encoding)
    durations: dict[int, int] = {}

    def moved(packets: Iterable[Any]) -> Iterator[Timed]:
        for packet in packets:
            shifted = packet._replace(pts=packet.pts - shift, dts=packet.dts - shift)
            yield shifted, durations.pop(packet.pts, 0)

    for frame, stamp in frames:
        durations[stamp.pts] = stamp.duration
        encoder.add(frame, stamp)
        yield from moved(encoder.take())
    if durations:
        yield from moved(encoder.finish().packets)


__all__ = ["STDOUT", "send_film"]
