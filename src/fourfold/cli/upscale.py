"""`fourfold upscale`: pictures in, larger pictures out."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import typer

from fourfold.cli.lines import json_line, one_line
from fourfold.cli.watch import Watch, clock
from fourfold.errors import UsageError

if TYPE_CHECKING:
    from fourfold.jobs.outcome import Outcome, Plan
    from fourfold.jobs.request import Request


def upscale(
    inputs: list[str] = typer.Argument(
        None,
        metavar="INPUT...",
        help="Pictures, films, folders or globs; - reads a picture from standard input.",
    ),
    also: list[str] = typer.Option([], "-i", "--input", help="The same as INPUT."),
    out: str | None = typer.Option(
        None, "-o", "--output", help="Result file (one input), folder, or - for standard output."
    ),
    model: str = typer.Option(
        "auto", "-n", "--model", "--model_name", help="auto, a bundled name, file or run."
    ),
    scale: float | None = typer.Option(
        None, "-s", "--scale", "--outscale", help="1 to 16; the network's factor, then Lanczos."
    ),
    fit: str | None = typer.Option(None, help="480p 720p 1080p 1440p 2k 4k 8k or WIDTHxHEIGHT."),
    texture: float | None = typer.Option(
        None, help="0 faithful (SRResNet) to 1 most detail (SRGAN)."
    ),
    tta: bool = typer.Option(
        False, "--tta", help="Average 8 flips and turns: better, 8 times slower."
    ),
    consistency: bool = typer.Option(
        True,
        "--consistency/--no-consistency",
        help="One back-projection step: no colour drift, the input comes back when downscaled.",
    ),
    backend: str = typer.Option("auto", help="auto, openvino, onnxruntime or torch."),
    device: str = typer.Option("auto", help="auto, cpu, cuda or mps."),
    precision: str = typer.Option("auto", help="auto, fp32, bf16 or fp16."),
    tile: str = typer.Option(
        "auto", "-t", "--tile", help="Side of a tile in input pixels, or auto."
    ),
    max_memory: str = typer.Option("1GB", help="What the process should stay under."),
    max_pixels: int = typer.Option(
        500_000_000, help="Refuse results with more pixels (all frames) before decoding."
    ),
    ext: str = typer.Option(
        "auto",
        help="auto, png, jpg, webp, tiff, avif or gif. auto keeps the input's format where it can "
        "hold the result; else PNG (formats only read: BMP, HEIC, JP2 ...; still GIF), or WebP or "
        "TIFF for several frames or pages, and says so.",
    ),
    quality: int | None = typer.Option(
        None, help="1 to 100, for jpg (95), webp (95) and avif (80)."
    ),
    suffix: str | None = typer.Option(None, help="Added to the name instead of _x4."),
    recursive: bool = typer.Option(
        False, "-r", "--recursive", help="Enter sub-folders, keep the tree."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace results that exist."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object per input on stdout."),
    codec: str = typer.Option("auto", help="Films: auto, h264, hevc, av1, ffv1 or prores."),
    crf: float | None = typer.Option(None, help="Films: quality, lower is better (h264: 18)."),
    preset: str | None = typer.Option(None, help="Films: the encoder's speed (h264: veryfast)."),
    start: str | None = typer.Option(None, help="Films: begin here, seconds or H:MM:SS."),
    end: str | None = typer.Option(None, help="Films: end here, seconds or H:MM:SS."),
    frames: int | None = typer.Option(None, help="Films: no more frames than these."),
    preview: bool = typer.Option(
        False, "--preview", help="Films: 3 seconds, bicubic on the left, the result on the right."
    ),
    dry_run: bool = typer.Option(
        False, "--dry-run", help="Say what would be written, lost, and how long it would take."
    ),
) -> int:
    """Make pictures larger; existing results are skipped, so the same command continues."""
    from fourfold.jobs.inputs import find_requests

    names = [*(inputs or []), *also]
    if not names:
        raise UsageError("upscale: want at least one INPUT, got none")
    if not all(names):
        raise UsageError("upscale: want the name of an INPUT, got an empty one")
    requests, left_out = find_requests(
        names,
        out,
        recursive=recursive,
        model=model,
        scale=scale,
        fit=fit,
        texture=texture,
        tta=tta,
        consistency=consistency,
        backend=backend,
        device=device,
        precision=precision,
        tile=tile,
        max_memory=max_memory,
        max_pixels=max_pixels,
        ext=ext,
        quality=quality,
        suffix=suffix,
        overwrite=overwrite,
        codec=codec,
        crf=crf,
        preset=preset,
        start=start,
        end=end,
        frames=frames,
        preview=preview,
    )
    if out == "-" and as_json:
        raise UsageError("-o -: want no --json")
    if not requests:
        rest = f" but {len(left_out)} results of earlier runs; name those to take them"
        none = f"{' '.join(names)}: no picture or film{rest if left_out else ''}"
        print(one_line(f"fourfold: note: {none}"), file=sys.stderr)
    with _terminable():
        if dry_run:
            failures = _plan_all(requests, as_json=as_json)
        else:
            failures = _run_all(requests, as_json=as_json, quiet=out == "-")
    _list_failures(failures, total=len(requests))
    return 1 if failures else 0


def _run_all(requests: list[Request], *, as_json: bool, quiet: bool) -> list[str]:
    """Do the work; returns the reasons of what failed."""
    from fourfold.jobs.pipeline import run_all

    failures: list[str] = []
    with Watch(len(requests)) as watch, closing(run_all(requests, progress=watch)) as outcomes:
        for outcome in outcomes:
            watch.finished(skipped=outcome.status == "skipped")
            _report(outcome, as_json=as_json, quiet=quiet)
            if outcome.status == "failed":
                failures.append(outcome.reason or outcome.input)
    return failures


def _plan_all(requests: list[Request], *, as_json: bool) -> list[str]:
    """Say what the work would be; returns the reasons of what would fail."""
    from fourfold.jobs.door import plan_all
    from fourfold.jobs.outcome import Outcome

    failures: list[str] = []
    for plan in plan_all(requests):
        if as_json:
            print(json_line(plan.as_dict()), flush=True)
        if isinstance(plan, Outcome):
            failures.append(plan.reason or plan.input)
            continue
        if not as_json:
            print(one_line(_planned(plan)), flush=True)
        _note(plan.input, plan.notes)
    return failures


def _planned(plan: Plan) -> str:
    count = "an unknown number of" if plan.count is None else plan.count
    many = f"  {count} {'frames' if plan.is_film else 'pages'}" if plan.count != 1 else ""
    return (
        f"{plan.path or 'standard output'}  {plan.width}x{plan.height}{many}  about "
        f"{clock(plan.seconds)} at {plan.megapixels_per_second:.1f} MP/s"
        + (f"  ({plan.exists})" if plan.exists else "")
    )


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
    elif outcome.path is not None and not quiet:
        size = f"{outcome.width}x{outcome.height}"
        rate = f"{outcome.megapixels_per_second:.2f} MP/s"
        if outcome.frames is not None:
            done = f"{outcome.frames} frames  {clock(outcome.seconds)}"
        else:
            pages = f"{outcome.pages} pages  " if outcome.pages > 1 else ""
            done = f"{pages}{outcome.seconds:.1f} s"
        print(one_line(f"{outcome.output}  {size}  {done}  {rate}"), flush=True)
    _note(outcome.input, outcome.notes)


def _note(name: str, notes: Iterable[str]) -> None:
    for note in notes:
        print(one_line(f"fourfold: note: {name}: {note}"), file=sys.stderr)


def _list_failures(failures: list[str], *, total: int) -> None:
    """All that failed, at the end where it is seen."""
    if len(failures) > 1:
        print(f"fourfold: {len(failures)} of {total} failed:", file=sys.stderr)
    for reason in failures:
        print(one_line(f"fourfold: {reason}"), file=sys.stderr)
