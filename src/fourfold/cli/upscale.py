"""`fourfold upscale`: pictures in, larger pictures out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from fourfold.cli.lines import json_line, one_line
from fourfold.cli.upscale_video import is_video, upscale_videos, video_settings
from fourfold.cli.verbose import VERBOSE
from fourfold.cli.watch import Watch
from fourfold.errors import UsageError

if TYPE_CHECKING:
    from fourfold.jobs.pipeline import Outcome


_SIZE, _QUALITY, _FILMS, _MACHINE = "Size and format", "Quality", "Films", "Machine"
"""Groups of options in `--help`; what has none is for every day."""


HELP = """Make pictures and films larger. Existing results are skipped: the same command continues.

\b
fourfold upscale photo.jpg                  photo_x4.jpg beside it
fourfold upscale album -r -o large --fit 4k a folder, as large as fits 4K
fourfold upscale clip.mp4 --fit 1080p       a film, with its sound
fourfold upscale - < a.png > b.png          from and to other programs
"""


def upscale(
    inputs: list[str] = typer.Argument(
        None, metavar="INPUT...", help="Pictures, films, folders, globs; - is standard input."
    ),
    also: list[str] = typer.Option([], "-i", "--input", metavar="INPUT", help="Same as INPUT."),
    out: str | None = typer.Option(
        None, "-o", "--output", metavar="OUT", help="File, folder or - (standard output)."
    ),
    model: str = typer.Option(
        "auto", "-n", "--model", "--model_name", metavar="NAME", help="Bundled name, file, run."
    ),
    scale: float | None = typer.Option(
        None,
        "-s",
        "--scale",
        "--outscale",
        metavar="N",
        help="Times as large, 1 to 16: the network, then Lanczos.",
        rich_help_panel=_SIZE,
    ),
    fit: str | None = typer.Option(
        None,
        metavar="FRAME",
        help="As large as fits 480p 720p 1080p 1440p 2k 4k 8k or WIDTHxHEIGHT.",
        rich_help_panel=_SIZE,
    ),
    texture: float | None = typer.Option(
        None,
        metavar="0..1",
        help="0 faithful (SRResNet), 1 most detail (SRGAN).",
        rich_help_panel=_QUALITY,
    ),
    tta: bool = typer.Option(
        False,
        "--tta",
        help="Average 8 flips and turns: better, 8 times slower.",
        rich_help_panel=_QUALITY,
    ),
    consistency: bool | None = typer.Option(
        None,
        "--consistency/--no-consistency",
        help="Back-projection: no colour drift, the input comes back when made small.",
        show_default=False,
        rich_help_panel=_QUALITY,
    ),
    backend: str = typer.Option(
        "auto", metavar="B", help="auto openvino onnxruntime torch", rich_help_panel=_MACHINE
    ),
    device: str = typer.Option(
        "auto", metavar="D", help="auto cpu cuda mps", rich_help_panel=_MACHINE
    ),
    precision: str = typer.Option(
        "auto", metavar="P", help="auto fp32 bf16 fp16", rich_help_panel=_MACHINE
    ),
    tile: str = typer.Option(
        "auto",
        "-t",
        "--tile",
        metavar="SIDE",
        help="Side in input pixels.",
        rich_help_panel=_MACHINE,
    ),
    max_memory: str = typer.Option(
        "1GB", metavar="SIZE", help="The process stays under it.", rich_help_panel=_MACHINE
    ),
    max_pixels: int = typer.Option(
        500_000_000,
        metavar="N",
        help="Refuse larger results (all frames) before decoding.",
        rich_help_panel=_MACHINE,
    ),
    ext: str = typer.Option(
        "auto",
        metavar="EXT",
        help="png jpg webp tiff avif gif. auto: as the input where that can be written, else png "
        "(webp or tiff for several frames or pages), and said so.",
        show_default=False,
        rich_help_panel=_SIZE,
    ),
    quality: int | None = typer.Option(
        None,
        metavar="1..100",
        help="Of jpg (95 unless given), webp (95), avif (80).",
        rich_help_panel=_SIZE,
    ),
    suffix: str | None = typer.Option(
        None, metavar="TEXT", help="Added to the name instead of _x4.", rich_help_panel=_SIZE
    ),
    recursive: bool = typer.Option(
        False, "-r", "--recursive", help="Enter sub-folders, keep the tree."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace results that exist."),
    as_json: bool = typer.Option(False, "--json", help="A JSON object per input on stdout."),
    codec: str = typer.Option(
        "auto", metavar="C", help="auto h264 hevc av1 ffv1 prores", rich_help_panel=_FILMS
    ),
    crf: float | None = typer.Option(
        None, metavar="Q", help="Lower is better (h264: 18).", rich_help_panel=_FILMS
    ),
    preset: str | None = typer.Option(
        None, metavar="P", help="Encoder's speed (h264: veryfast).", rich_help_panel=_FILMS
    ),
    start: str | None = typer.Option(
        None, metavar="TIME", help="Begin here: seconds or H:MM:SS.", rich_help_panel=_FILMS
    ),
    end: str | None = typer.Option(
        None, metavar="TIME", help="End here: seconds or H:MM:SS.", rich_help_panel=_FILMS
    ),
    frames: int | None = typer.Option(
        None, metavar="N", help="No more frames than these.", rich_help_panel=_FILMS
    ),
    preview: bool = typer.Option(
        False,
        "--preview",
        help="3 seconds, bicubic left, the result right.",
        rich_help_panel=_FILMS,
    ),
    dry_run: bool = typer.Option(
        False,
        "--dry-run",
        help="Say what would be written and how long it takes.",
        rich_help_panel=_FILMS,
    ),
    verbose: bool = VERBOSE,
) -> int:
    """Make pictures and films larger; existing results are skipped, so the same command continues."""
    from fourfold.engine.choose import chosen
    from fourfold.engine.upscaler import Upscaler
    from fourfold.files.paths import STDIO
    from fourfold.jobs.inputs import find_inputs
    from fourfold.jobs.pipeline import OutputSettings, upscale_files
    from fourfold.jobs.size import TargetSize

    names = _names([*(inputs or []), *also])
    out = _standard_output(names, out)
    settings = OutputSettings(
        size=TargetSize.parse(scale, fit),
        ext=ext.lower().lstrip("."),
        quality=quality,
        suffix=suffix,
        overwrite=overwrite,
        max_pixels=max_pixels,
    )
    films = video_settings(
        settings.size, codec, crf, preset, start, end, frames, preview, suffix, overwrite
    )
    leave_out = None if out in (None, STDIO) else Path(out)
    everything = find_inputs(names, recursive=recursive, leave_out=leave_out)
    _check_output(out, ext, several=len(everything) > 1 or not all(i.named for i in everything))
    if not everything:
        print(one_line(f"fourfold: note: {' '.join(names)}: no picture or film"), file=sys.stderr)
    videos = [item for item in everything if is_video(item)]
    found = [item for item in everything if not is_video(item) and not dry_run]
    if out == STDIO and (len(everything) != 1 or as_json):
        raise UsageError("-o -: want a single input and no --json")

    upscaler_of = partial(
        Upscaler,
        backend=backend,
        device=device,
        precision=precision,
        tile=tile,
        texture=texture,
        tta=tta,
        consistency=consistency,
        max_memory=max_memory,
    )
    film = chosen(model, "film", texture=texture)
    first = chosen(model, "still", texture=texture) if found or not videos else film
    upscaler = upscaler_of(first)
    failures: list[str] = []
    with _terminable(), Watch(len(found)) as watch:
        outcomes = upscale_files(found, out, upscaler, settings, watcher=watch)
        with closing(outcomes):
            for outcome in outcomes:
                watch.finished(skipped=outcome.status == "skipped")
                _report(outcome, as_json=as_json, quiet=out == STDIO)
                if outcome.status == "failed":
                    failures.append(outcome.reason or outcome.input)
    options = {"dry_run": dry_run, "as_json": as_json, "single": len(everything) == 1}
    with _terminable():
        upscaler = upscaler if first == film or not videos else upscaler_of(film)
        failures += upscale_videos(videos, out, upscaler, films, **options)
    _list_failures(failures, total=len(everything))
    return 1 if failures else 0


def _names(given: list[str]) -> list[str]:
    """The inputs; `UsageError` when there is none, or one without a name."""
    if not given:
        raise UsageError("upscale: want at least one INPUT, got none")
    if not all(given):
        raise UsageError("upscale: want the name of an INPUT, got an empty one")
    return given


def _standard_output(names: list[str], out: str | None) -> str | None:
    """Where the result of standard input goes unless told: standard output, for other programs."""
    from fourfold.files.paths import STDIO

    if names != [STDIO] or out is not None:
        return out
    if sys.stdout.isatty():
        raise UsageError("upscale -: want -o FILE, or > FILE; a picture is nothing for a terminal")
    return STDIO


def _check_output(out: str | None, ext: str, *, several: bool) -> None:
    """`UsageError` for a file name as the place of several results, or against --ext."""
    from fourfold.files.paths import STDIO, is_folder
    from fourfold.films.probe import has_film_suffix
    from fourfold.pictures.formats import format_of_suffix, has_picture_suffix

    if out in (None, STDIO) or is_folder(Path(out)):
        return
    path = Path(out)
    if several and (has_picture_suffix(path) or has_film_suffix(path)):
        raise UsageError(f"-o {out}: want a folder for several inputs, got the name of a file")
    form = format_of_suffix(path)
    if form is not None and ext not in ("auto", form.name):
        raise UsageError(f"-o {out} is written as {form.name}; leave --ext {ext} out")


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does, with nothing left behind."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _report(outcome: Outcome, *, as_json: bool, quiet: bool) -> None:
    """Results on stdout, as JSON when asked; what was skipped or not kept on stderr."""
    if as_json:
        print(json_line(outcome.as_dict()), flush=True)
    elif outcome.status == "skipped":
        print(one_line(f"{outcome.output} {outcome.reason}"), file=sys.stderr)
    elif outcome.status == "done" and not quiet:
        size = f"{outcome.width}x{outcome.height}"
        pages = f"  {outcome.pages} pages" if outcome.pages > 1 else ""
        rate = f"{outcome.seconds:.1f} s  {outcome.megapixels_per_second:.2f} MP/s"
        print(one_line(f"{outcome.output}  {size}{pages}  {rate}"), flush=True)
    for note in outcome.notes:
        print(one_line(f"fourfold: note: {outcome.input}: {note}"), file=sys.stderr)


def _list_failures(failures: list[str], *, total: int) -> None:
    """All that failed, at the end where it is seen."""
    if len(failures) > 1:
        print(f"fourfold: {len(failures)} of {total} failed:", file=sys.stderr)
    for reason in failures:
        print(one_line(f"fourfold: {reason}"), file=sys.stderr)
