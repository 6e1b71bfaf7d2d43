"""A film to standard output, to be watched while it is made: no scratch, no resuming, no audit."""

from __future__ import annotations

import os
import select
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, Final

from fourfold.engine.upscaler import Upscaler
from fourfold.errors import InputError, option
from fourfold.films.decode import FrameReader
from fourfold.films.encode import to_frame
from fourfold.films.join import Joined
from fourfold.films.live import STDOUT, send_film
from fourfold.films.packets import Stamp
from fourfold.films.probe import probe
from fourfold.jobs.films.progress import Meter, Report, trial_speed
from fourfold.jobs.films.run import VideoResult, result_of
from fourfold.jobs.films.settings import Plan, VideoSettings, make_plan
from fourfold.jobs.films.work import Shown, enlarge_into

_NAME: Final = Path("standard output.mkv")


class _Stopped(Exception):
    """The work has been broken off by another thread."""


def plan_stream(source: Path, upscaler: Upscaler, settings: VideoSettings) -> Plan:
    """Everything decided before the first frame."""
    plan = make_plan(probe(source), _NAME, settings, network_scale=upscaler.scale)
    return replace(plan, encoding=replace(plan.encoding, live=True))


def stream_video(
    source: Path,
    upscaler: Upscaler,
    settings: VideoSettings,
    *,
    progress: Report | None = None,
    cancel: Callable[[], bool] | None = None,
    target: int = STDOUT,
) -> VideoResult:
    """Enlarge a film into Matroska on standard output, frame by frame.

    Raises as `run_video`, and `BrokenPipeError` once nobody reads any more.
    """
    started = time.perf_counter()
    plan = plan_stream(source, upscaler, settings)
    upscaler = upscaler.for_frames(plan.info.height, plan.info.width)
    plan = replace(plan, window=replace(plan.window, origin=_origin(plan)))
    meter = Meter(
        pixels=plan.result_pixels,
        total=plan.expected_frames,
        resumed=0,
        trial_fps=trial_speed(upscaler, plan.info, plan.yuv) if progress else 0.0,
        report=progress or (lambda _: None),
    )
    meter.start()
    sent: list[Joined] = []

    def sink(enlarged: Shown) -> None:
        with suppress(_Stopped):
            sent.append(
                send_film(
                    plan.info,
                    _frames(enlarged, plan),
                    plan.encoding,
                    plan.window,
                    closed=plan.frames is not None,
                    target=target,
                )
            )

    rendered = enlarge_into(
        sink,
        plan,
        upscaler,
        limit=plan.frames,
        meter=meter,
        cancelled=_until_nobody_reads(cancel) if target == STDOUT else cancel,
    )
    (joined,) = sent
    told = upscaler.notes(plan.info.height, plan.info.width)
    result = result_of(plan, rendered, joined, told=told)
    return replace(result, seconds=time.perf_counter() - started)


def _origin(plan: Plan) -> Fraction:
    """FFmpeg's start of a file is that of the packets it has looked at; frames may come before."""
    window = plan.window
    first = next(iter(FrameReader(plan.info, start=window.start, end=window.end)), None)
    if first is None:
        raise InputError(
            f"{plan.info.path}: no frame between {option('start')} and {option('end')}"
        )
    return min(window.origin, first.pts * plan.info.time_base)


def _frames(enlarged: Shown, plan: Plan) -> Iterator[tuple[Any, Stamp]]:
    for pixels, stamp in enlarged:
        yield to_frame(pixels, plan.encoding), stamp
    if enlarged.stopped:
        raise _Stopped


def _until_nobody_reads(cancel: Callable[[], bool] | None) -> Callable[[], bool]:
    """Asks `cancel`, and raises `BrokenPipeError` as soon as the other end of the pipe is closed.

    Writing finds out too, but only when there is something to write.
    """
    if not hasattr(select, "poll") or sys.platform == "darwin":
        return cancel or (lambda: False)
    poll = select.poll()
    poll.register(1, 0)

    def asked() -> bool:
        if any(event & select.POLLERR for _, event in poll.poll(0)):
            raise BrokenPipeError(32, os.strerror(32))
        return cancel is not None and cancel()

    return asked


__all__ = ["plan_stream", "stream_video"]
