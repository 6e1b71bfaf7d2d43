"""Films for `fourfold upscale`: progress, estimates and results on the terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as Bar

from fourfold.cli.lines import json_line, one_line
from fourfold.errors import FourfoldError, OutputError, UsageError

if TYPE_CHECKING:
    from fourfold.engine.upscaler import Upscaler
    from fourfold.files.paths import Found
    from fourfold.jobs.claims import Claims
    from fourfold.jobs.films.progress import Progress
    from fourfold.jobs.films.run import Estimate, VideoResult
    from fourfold.jobs.films.settings import VideoSettings
    from fourfold.jobs.size import TargetSize


def video_settings(
    size: TargetSize,
    codec: str,
    crf: float | None,
    preset: str | None,
    start: str | None,
    end: str | None,
    frames: int | None,
    preview: bool,
    suffix: str | None,
    overwrite: bool,
) -> VideoSettings:
    """Settings from the options; `UsageError` for values out of range."""
    from fourfold.jobs.films.settings import VideoSettings, parse_time

    return VideoSettings(
        size=size,
        codec=codec.lower(),
        crf=crf,
        preset=preset,
        start=None if start is None else parse_time(start, option="--start"),
        end=None if end is None else parse_time(end, option="--end"),
        frames=frames,
        preview=preview,
        suffix=suffix,
        overwrite=overwrite,
    )


def is_video(found: Found) -> bool:
    """Whether an input goes to the film engine."""
    from fourfold.films.probe import has_film_suffix

    return has_film_suffix(found.path)


def without_results(
    videos: list[Found], settings: VideoSettings, network_scale: int
) -> list[Found]:
    """The films without those of a searched folder that an earlier run has made of another."""
    suffix = settings.size.suffix(network_scale) if settings.suffix is None else settings.suffix
    made = {
        other.path.with_name(other.path.stem + suffix + ending)
        for other in videos
        for ending in (other.path.suffix, ".mp4", ".mkv", ".mov")
    } - {other.path for other in videos if not suffix}
    return [found for found in videos if found.named or found.path not in made]


def upscale_videos(
    videos: Iterable[Found],
    out: str | None,
    upscaler: Upscaler,
    settings: VideoSettings,
    *,
    dry_run: bool,
    as_json: bool,
    single: bool,
) -> list[str]:
    """Enlarge each film and say what became of it; returns the reasons of those that failed."""
    from fourfold.jobs.claims import Claims

    failures = []
    claims = Claims(options="--suffix or -o")
    for found in without_results(list(videos), settings, upscaler.scale):
        try:
            claims.owner = found.path
            target = _target(found, out, single=single)
            outcome = _upscale_one(found, target, upscaler, settings, claims, dry_run=dry_run)
        except UsageError:
            raise
        except FourfoldError as error:
            outcome = {"input": str(found.path), "status": "failed", "reason": str(error)}
        if outcome.get("reason") and outcome["status"] == "failed":
            failures.append(str(outcome["reason"]))
        _say(outcome, as_json=as_json)
    return failures


def _upscale_one(
    found: Found,
    target: Path | None,
    upscaler: Upscaler,
    settings: VideoSettings,
    claims: Claims,
    *,
    dry_run: bool,
) -> dict[str, Any]:
    from fourfold.jobs.films.run import estimate_video, plan_video, run_video

    if target is not None and target.is_dir():
        plan = plan_video(found.path, None, upscaler, settings)
        target = target / found.relative.with_name(plan.output.name)
    output = target or plan_video(found.path, None, upscaler, settings).output
    claims.take(output)
    if dry_run:
        return _estimated(found, estimate_video(found.path, target, upscaler, settings))
    if output.exists() and not settings.overwrite:
        reason = "exists (--overwrite replaces it)"
        named = {"input": str(found.path), "output": str(output)}
        return {**named, "status": "skipped", "reason": reason}
    with _shown(found.path.name) as show:
        result = run_video(found.path, target, upscaler, settings, progress=show)
    return _finished(found, result)


def _target(found: Found, out: str | None, *, single: bool) -> Path | None:
    """The file to write, a folder (made if need be), or None for beside the input."""
    if out is None:
        return None
    if out == "-":
        raise UsageError("-o -: films cannot be written to standard output; name a file")
    path = Path(out)
    if single and path.suffix and not path.is_dir():
        return path
    if path.exists() and not path.is_dir():
        wanted = "a folder or a new name, such as film.mp4" if single else "a folder"
        raise UsageError(f"-o {out}: want {wanted}, got an existing file")
    folder = (path / found.relative).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror or error})") from error
    return path


def _finished(found: Found, result: VideoResult) -> dict[str, Any]:
    pixels = result.width * result.height * (result.frames - result.resumed)
    return {
        "input": str(found.path),
        "output": str(result.output),
        "status": "failed" if result.damage else "done",
        "reason": result.damage,
        "width": result.width,
        "height": result.height,
        "shown": list(result.shown),
        "frames": result.frames,
        "resumed_frames": result.resumed,
        "repeated_frames": result.repeated,
        "seconds": round(result.seconds, 3),
        "megapixels_per_second": round(pixels / 1e6 / result.seconds, 3),
        "notes": list(result.notes),
    }


def _estimated(found: Found, estimate: Estimate) -> dict[str, Any]:
    return {
        "input": str(found.path),
        "output": str(estimate.output),
        "status": "planned",
        "width": estimate.width,
        "height": estimate.height,
        "shown": list(estimate.shown),
        "frames": estimate.frames,
        "guessed_frames": estimate.guess,
        "seconds": None if estimate.seconds is None else round(estimate.seconds, 3),
        "megapixels_per_second": round(estimate.megapixels_per_second, 3),
        "notes": list(estimate.notes),
    }


def _say(outcome: dict[str, Any], *, as_json: bool) -> None:
    """Notes on stderr; results on stdout, as JSON when asked."""
    for note in outcome.get("notes", []):
        print(one_line(f"fourfold: note: {outcome['input']}: {note}"), file=sys.stderr)
    status = outcome["status"]
    if as_json:
        print(json_line(outcome), flush=True)
        return
    if status == "skipped":
        print(one_line(f"{outcome['output']} {outcome['reason']}"), file=sys.stderr)
        return
    if "width" not in outcome:
        return
    size = "{}x{}".format(*outcome["shown"])
    frames = outcome["frames"]
    if frames is None:
        guess = outcome["guessed_frames"]
        frames = "an unknown number of" if guess is None else f"perhaps {guess} (by its size)"
    rate = f"{outcome['megapixels_per_second']:.1f} MP/s"
    if status == "planned":
        print(f"{outcome['output']}  {size}  {frames} frames  about {_clock(outcome['seconds'])}"
              f" at {rate}")  # fmt: skip
    else:
        print(f"{outcome['output']}  {size}  {frames} frames  {_clock(outcome['seconds'])}  {rate}")


@contextmanager
def _shown(name: str) -> Iterator[Callable[[Progress], None]]:
    """A progress bar on stderr when it is a terminal."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[state]}"))
    with Bar(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(name, total=None, state="")

        def show(now: Progress) -> None:
            bar.update(task, completed=now.frames, total=now.total or now.guess, state=_state(now))

        yield show


def _state(now: Progress) -> str:
    if now.stage == "joining":
        return f"{now.frames} frames, writing the file"
    guess = "?" if now.guess is None else f"perhaps {now.guess}"
    total = guess if now.total is None else now.total
    resumed = f" ({now.resumed} from before)" if now.resumed else ""
    return (
        f"{now.frames}/{total} frames{resumed}  {now.fps:.2f} fps  "
        f"{now.megapixels_per_second:.2f} MP/s  {_clock(now.seconds_left)} left"
    )


def _clock(seconds: float | None) -> str:
    """Hours, minutes and seconds.

    >>> _clock(3671.2), _clock(None)
    ('1:01:11', 'unknown time')
    """
    if seconds is None:
        return "unknown time"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


__all__ = ["is_video", "upscale_videos", "video_settings"]
