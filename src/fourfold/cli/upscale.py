"""`fourfold upscale`: pictures in, larger pictures out."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterable
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any

import typer

from fourfold.cli.lines import by_models, json_line, list_failures, one_line
from fourfold.cli.many import is_for_many, terminable, upscale_many
from fourfold.cli.streams import in_time, standard_output
from fourfold.cli.verbose import VERBOSE
from fourfold.cli.watch import Watch, clock
from fourfold.errors import UsageError, option

if TYPE_CHECKING:
    from fourfold.jobs.outcome import Outcome, Plan
    from fourfold.jobs.request import Request


_SIZE, _QUALITY, _FILMS, _MACHINE = "Size and format", "Quality", "Films", "Machine"
_MANY = "Many machines"
"""Groups of options in `--help`; what has none is for every day."""

_RETRIES = 2


HELP = """Make pictures and films larger. Existing results are skipped: the same command continues.

\b
fourfold upscale photo.jpg                  photo_x4.jpg beside it
fourfold upscale album -r -o large --fit 4k a folder, as large as fits 4K
fourfold upscale clip.mp4 --fit 1080p       a film, with its sound
fourfold upscale - < a.png > b.png          from and to other programs
fourfold upscale s3://a/in -r -o s3://a/out a bucket, many machines
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
        "auto",
        "-n",
        "--model",
        "--model_name",
        metavar="NAME",
        help="auto, bundled name, file, run.",
    ),
    scale: float | None = typer.Option(
        None,
        "-s",
        "--scale",
        "--outscale",
        metavar="N",
        help="Times as large, 1 to 16: the network (twice from 6 on), then resized.",
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
    denoise: float | None = typer.Option(
        None,
        metavar="0..1",
        help="Photo models: 0 removes no damage, 1 as much as they can.",
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
        help="Back-projection: no colour drift, the input comes back. Else: as the model needs.",
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
        "auto", metavar="P", help="auto fp32 bf16 fp16 int8", rich_help_panel=_MACHINE
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
        help="Refuse larger results.",
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
        None, metavar="P", help="Encoder's speed (h264: superfast).", rich_help_panel=_FILMS
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
    pulldown: str = typer.Option(
        "keep",
        metavar="P",
        help="undo: video made by 3:2 pulldown becomes film.",
        rich_help_panel=_FILMS,
    ),
    realtime: bool = typer.Option(
        False,
        "--realtime",
        help="The best bundled model that keeps up.",
        rich_help_panel=_FILMS,
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
    ),
    engine: str = typer.Option(
        "local", metavar="E", help="local, or ray: workers of a cluster.", rich_help_panel=_MANY
    ),
    address: str | None = typer.Option(
        None,
        metavar="A",
        help="Of a Ray cluster: auto or ray://HOST:PORT; else one of this machine, for this run.",
        rich_help_panel=_MANY,
    ),
    workers: str | None = typer.Option(
        None, metavar="MIN:MAX", help="How many of them.", rich_help_panel=_MANY
    ),
    shard: str | None = typer.Option(
        None,
        metavar="I/N",
        help="Do shard I of N: independent processes divide a folder between them.",
        rich_help_panel=_MANY,
    ),
    retries: int = typer.Option(
        _RETRIES,
        min=0,
        metavar="N",
        help="Further tries after a failure.",
        rich_help_panel=_MANY,
    ),
    max_errors: int | None = typer.Option(
        None,
        min=0,
        metavar="N",
        help="End when more inputs have failed.",
        rich_help_panel=_MANY,
    ),
    verbose: bool = VERBOSE,
) -> int:
    """Make pictures and films larger; existing results are skipped, so the same command continues."""
    from fourfold.jobs.inputs import find_requests

    names = _names([*(inputs or []), *also])
    out = standard_output(names, out)
    options: dict[str, Any] = {
        "model": model,
        "scale": scale,
        "fit": fit,
        "texture": texture,
        "denoise": denoise,
        "tta": tta,
        "consistency": consistency,
        "backend": backend,
        "device": device,
        "precision": precision,
        "tile": tile,
        "max_memory": max_memory,
        "max_pixels": max_pixels,
        "ext": ext,
        "quality": quality,
        "suffix": suffix,
        "overwrite": overwrite,
        "codec": codec,
        "crf": crf,
        "preset": preset,
        "start": start,
        "end": end,
        "frames": frames,
        "preview": preview,
        "pulldown": pulldown,
    }
    if is_for_many(names, out, engine=engine, shard=shard, of_ray=address or workers):
        from fourfold.cluster.run import Workers

        return upscale_many(
            names,
            out,
            options,
            workers=Workers.parse(engine, address, workers),
            shard=shard,
            recursive=recursive,
            retries=retries,
            max_errors=max_errors,
            dry_run=dry_run,
            as_json=as_json,
        )
    _check_single_machine(out, as_json=as_json, many=max_errors is not None or retries != _RETRIES)
    requests, left_out = find_requests(names, out, recursive=recursive, **options)
    if not requests:
        rest = f" but {len(left_out)} results of earlier runs; name those to take them"
        _note(" ".join(names), [f"no picture or film{rest if left_out else ''}"])
    _say_left_out({str(path) for path in left_out}.intersection(names), requests)
    with terminable():
        requests = [in_time(request) if realtime else request for request in requests]
        todo = _plan_all if dry_run else partial(_run_all, quiet=out == "-")
        failures = todo(requests, as_json=as_json)
    list_failures(failures, total=len(requests))
    return 1 if failures else 0


def _say_left_out(results: Iterable[str], requests: list[Request]) -> None:
    """Notes of what was given and does nothing."""
    from fourfold.jobs.inputs import useless_for_all

    for name in sorted(results) if requests else ():
        _note(name, ["left out: made of another input; to enlarge it, name it alone"])
    for name in useless_for_all(requests):
        _note(option(name), ["without effect on these inputs"])


def _names(names: list[str]) -> list[str]:
    """The names, if they are."""
    if not names:
        raise UsageError("upscale: want at least one INPUT, got none")
    if not all(names):
        raise UsageError("upscale: want the name of an INPUT, got an empty one")
    return names


def _check_single_machine(out: str | None, *, as_json: bool, many: bool) -> None:
    """`UsageError` for options that do not fit files of this machine, one by one."""
    if many:
        raise UsageError("--retries and --max-errors: want --shard, --engine ray or an address")
    if out == "-" and getattr(sys.stdout, "name", "") == os.devnull:
        raise UsageError("-o -: standard output is closed; want it open, or -o FILE")
    if out == "-" and as_json:
        raise UsageError("-o -: want no --json")


def _run_all(requests: list[Request], *, as_json: bool, quiet: bool) -> list[str]:
    """Do the work; returns the reasons of what failed."""
    from fourfold.cli.summary import Summary
    from fourfold.engine.choose import AUTO
    from fourfold.jobs.pipeline import run_all

    failures, summary = list[str](), Summary()
    pictures = Counter[str]()
    tell = not as_json and any(request.model == AUTO for request in requests)
    with (
        Watch(len(requests), tell=tell) as watch,
        closing(run_all(requests, progress=watch)) as outcomes,
    ):
        for outcome in outcomes:
            watch.finished(skipped=outcome.status == "skipped")
            _report(outcome, as_json=as_json, quiet=quiet)
            summary.add(outcome)
            if outcome.status == "failed":
                failures.append(outcome.reason or outcome.input)
            pictures[outcome.model] += outcome.status == "done" and outcome.frames is None
    for line in summary.lines() if len(requests) > 1 and not (as_json or quiet) else ():
        print(one_line(f"fourfold: {line}"), file=sys.stderr)
    if tell and len(requests) > 1 and pictures.total():
        print(one_line(f"fourfold: pictures: {by_models(+pictures)}"), file=sys.stderr)
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
    guess = "an unknown number of" if plan.guess is None else f"perhaps {plan.guess} (by its size)"
    count = guess if plan.count is None else plan.count
    many = f"  {count} {'frames' if plan.is_film else 'pages'}" if count != 1 else ""
    width, height = plan.shown
    return (
        f"{plan.path or 'standard output'}  {width}x{height}{many}  about "
        f"{clock(plan.seconds)} at {plan.megapixels_per_second:.1f} MP/s by {plan.model}"
        + ("" if plan.why == "as asked" else f" ({plan.why})")
        + (f"  ({plan.exists})" if plan.exists else "")
    )


def _report(outcome: Outcome, *, as_json: bool, quiet: bool) -> None:
    """Results on stdout, as JSON when asked; what was skipped or not kept on stderr."""
    if as_json:
        print(json_line(outcome.as_dict()), flush=True)
    elif outcome.status == "skipped":
        print(one_line(f"{outcome.output} {outcome.reason}"), file=sys.stderr)
    elif outcome.path is not None and not quiet:
        width, height = outcome.size if outcome.frames is None else outcome.shown
        size = f"{width}x{height}"
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
