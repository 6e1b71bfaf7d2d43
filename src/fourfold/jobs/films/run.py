"""A film from file to file: plan, resume, enlarge, join, check, publish."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from fourfold.engine.upscaler import Upscaler
from fourfold.errors import InputError, OutputError, option
from fourfold.files.paths import atomic_path
from fourfold.films.audit import audit
from fourfold.films.captions import CAPTIONED
from fourfold.films.join import Joined, Window, join
from fourfold.films.packets import read_segment
from fourfold.films.probe import guess_frames, probe
from fourfold.jobs.films.parts import FilmPart, film_scratch
from fourfold.jobs.films.progress import Meter, Progress, Report, trial_speed
from fourfold.jobs.films.scratch import Scratch, remove_scratch
from fourfold.jobs.films.settings import Plan, VideoSettings, make_plan
from fourfold.jobs.films.work import Cancelled, Rendered, render


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoResult:
    """What became of a film."""

    output: Path
    width: int
    height: int
    """Of the frames in the file."""
    shown: tuple[int, int]
    """Width and height players show: turned, and with square pixels."""
    frames: int
    resumed: int
    """Frames an earlier, interrupted run had finished."""
    repeated: int
    """Frames equal to the one before."""
    seconds: float
    """Of this run."""
    notes: tuple[str, ...]
    """What was decided or left out, a sentence each."""
    damage: str | None
    """What of the source could not be used; None when all of it was."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What a run would do and take; nothing is written."""

    output: Path
    width: int
    height: int
    """Of the frames in the file."""
    shown: tuple[int, int]
    """Width and height players show: turned, and with square pixels."""
    frames: int | None
    guess: int | None
    """Frames there may be, by the size of the file, where it states no length."""
    seconds: float | None
    """Of work on this machine, by `frames` or else by `guess`."""
    megapixels_per_second: float
    notes: tuple[str, ...]


def plan_video(
    source: Path, target: Path | None, upscaler: Upscaler, settings: VideoSettings
) -> Plan:
    """Everything decided before the first frame."""
    return make_plan(probe(source), target, settings, network_scale=upscaler.scale)


def estimate_video(
    source: Path, target: Path | None, upscaler: Upscaler, settings: VideoSettings
) -> Estimate:
    """What `run_video` would write and how long it would take on this machine."""
    plan = plan_video(source, target, upscaler, settings)
    engine = upscaler.for_frames(plan.info.height, plan.info.width)
    fps = trial_speed(engine, plan.info, plan.yuv)
    frames, guess = plan.expected_frames, _guess(plan)
    total = guess if frames is None else frames
    return Estimate(
        output=plan.output,
        width=plan.encoding.width,
        height=plan.encoding.height,
        shown=plan.info.shown_size(plan.encoding.width, plan.encoding.height),
        frames=frames,
        guess=guess,
        seconds=None if total is None else total / fps,
        megapixels_per_second=fps * plan.result_pixels / 1e6,
        notes=_notes(plan),
    )


def run_video(
    source: Path,
    target: Path | None,
    upscaler: Upscaler,
    settings: VideoSettings,
    *,
    progress: Report | None = None,
    cancel: Callable[[], bool] | None = None,
    sign: Callable[[Path], None] | None = None,
) -> VideoResult:
    """Enlarge a film file; everything but the pictures is kept as it is.

    Args:
        target: result file, or None for a name beside the source.
        progress: called before the first frame and after every frame.
        cancel: asked before every frame; True stops with `Cancelled`. The same call goes on.
        sign: called with the finished file before it gets its name.

    Raises `InputError` or `OutputError` naming the file, `UsageError` for wrong options,
    `MissingExtra` without PyAV.
    """
    started = time.perf_counter()
    plan = plan_video(source, target, upscaler, settings)
    _check_target(plan, settings)
    # Held from here on, so that the network is compiled once.
    upscaler = upscaler.for_frames(plan.info.height, plan.info.width)
    with film_scratch(plan, upscaler) as scratch:
        files, done = scratch.finished()
        resumed = done + scratch.kept(len(files))[1]
        meter = Meter(
            pixels=plan.result_pixels,
            total=plan.expected_frames,
            guess=_guess(plan),
            resumed=resumed,
            trial_fps=trial_speed(upscaler, plan.info, plan.yuv) if progress else 0.0,
            report=progress or _silent,
        )
        meter.start()
        part = FilmPart(plan=plan, number=len(files), first=done, stop=plan.frames)
        rendered = render(part, upscaler, scratch, meter=meter, cancelled=cancel)
        meter.joining()
        joined = _publish(plan, scratch, source, sign)
    others = remove_scratch(plan.output, scratch.folder)
    told = (*upscaler.notes(plan.info.height, plan.info.width), *others)
    result = result_of(plan, rendered, joined, told=told, resumed=resumed)
    return replace(result, seconds=time.perf_counter() - started)


def result_of(
    plan: Plan, rendered: Rendered, joined: Joined, *, told: Iterable[str], resumed: int = 0
) -> VideoResult:
    """What came of a film, but for the time it took; `told` stands among its notes."""
    return VideoResult(
        output=plan.output,
        width=plan.encoding.width,
        height=plan.encoding.height,
        shown=plan.info.shown_size(plan.encoding.width, plan.encoding.height),
        frames=rendered.frames,
        resumed=resumed,
        repeated=rendered.repeated,
        seconds=0.0,
        notes=(*_notes(plan), *told, *_unusual(plan, rendered), *joined.notes),
        damage=_damage(plan, rendered, joined),
    )


def _guess(plan: Plan) -> int | None:
    """Frames of the part there may be where headers do not tell; None where they do."""
    guess = None if plan.expected_frames is not None else guess_frames(plan.info)
    if guess is None or plan.window.start is None:
        return guess
    return max(1, guess - round((plan.window.start - plan.info.start) * plan.info.rate))


def _silent(_progress: Progress) -> None:
    return None


def _check_target(plan: Plan, settings: VideoSettings) -> None:
    output, source = plan.output, plan.info.path
    if output.exists() and output.samefile(source):
        raise OutputError(f"{output}: is the input itself; choose another {option('target')}")
    if output.exists() and not settings.overwrite:
        raise OutputError(f"{output}: exists ({option('overwrite', True)} replaces it)")


def _publish(
    plan: Plan, scratch: Scratch, source: Path, sign: Callable[[Path], None] | None
) -> Joined:
    """Join, read back, rename. The segments stay on failure."""
    files, frames = scratch.finished()
    if not frames:
        raise InputError(f"{source}: no frame between {option('start')} and {option('end')}")
    window = _closed(plan, files) if plan.frames is not None else plan.window
    # FFmpeg's start of a file is that of the packets it has looked at; frames may come before.
    first = read_segment(files[0]).frames[0].pts * plan.info.time_base
    window = replace(window, origin=min(window.origin, first))
    with atomic_path(plan.output) as part:
        joined = join(plan.info, files, part, plan.encoding, window)
        faults = audit(part, times=joined.times, streams=joined.streams, earliest=joined.earliest)
        if faults:
            scratch.useless = True
            raise OutputError(
                f"{plan.output}: not written, since reading it back shows: {'; '.join(faults)}"
            )
        if sign is not None:
            sign(part)
    return joined


def _closed(plan: Plan, files: list[Path]) -> Window:
    """The window ended where the last of `--frames` ends, for sound and the rest."""
    last = read_segment(files[-1]).frames[-1]
    length = last.duration * plan.info.time_base or 1 / plan.info.rate
    end: Fraction = last.pts * plan.info.time_base + length
    wanted = plan.window.end
    return replace(plan.window, end=end if wanted is None else min(end, wanted))


def _notes(plan: Plan) -> tuple[str, ...]:
    """What was decided, a sentence each."""
    notes = [] if plan.suffix_note is None else [plan.suffix_note]
    if plan.pulldown:
        notes.append("3:2 pulldown is undone: four pictures of five frames")
    elif plan.pulldown is False:
        notes.append("no 3:2 pulldown is found in it")
    if plan.info.interlaced and not plan.pulldown:
        notes.append("interlaced: deinterlaced with bwdif, one picture a frame")
    if plan.info.transparent:
        notes.append("transparency is not kept in films")
    if plan.info.light is not None and not plan.encoding.tells_light:
        notes.append(f"the brightness marks of HDR are left out: {plan.encoding.codec} has none")
    return tuple(notes)


def _unusual(plan: Plan, rendered: Rendered) -> list[str]:
    """What the frames have shown, a sentence each."""
    notes = []
    if rendered.moved:
        notes.append(f"{rendered.moved} frames without a usable time stamp were given the next one")
    if rendered.resized:
        size = f"{plan.info.width}x{plan.info.height}"
        notes.append(f"{rendered.resized} frames of another size were first brought to {size}")
    if rendered.captions and plan.encoding.codec not in CAPTIONED:
        notes.append(f"closed captions are left out: {plan.encoding.codec} cannot hold them")
    return notes


def _damage(plan: Plan, rendered: Rendered, joined: Joined) -> str | None:
    """What is missing or broken in the source, in words; None when nothing is."""
    parts = []
    if rendered.damaged:
        parts.append(f"{rendered.damaged} packets are damaged")
    if plan.window.whole and plan.frames is None:
        parts.extend(joined.faults)
    if not parts:
        return None
    return f"{plan.info.path}: {' and '.join(parts)}; the {rendered.frames} frames that decode are kept"


__all__ = [
    "Cancelled",
    "Estimate",
    "Progress",
    "VideoResult",
    "VideoSettings",
    "estimate_video",
    "plan_video",
    "result_of",
    "run_video",
]
