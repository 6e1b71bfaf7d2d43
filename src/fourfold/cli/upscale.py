"""`fourfold upscale`: pictures in, larger pictures out."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from fourfold.errors import UsageError

if TYPE_CHECKING:
    from fourfold.engine.pipeline import Outcome


def upscale(
    inputs: list[str] = typer.Argument(
        None, metavar="INPUT...", help="Pictures, folders or globs; - reads standard input."
    ),
    also: list[str] = typer.Option([], "-i", "--input", help="The same as INPUT."),
    out: str | None = typer.Option(
        None, "-o", "--output", help="Result file (one input), folder, or - for standard output."
    ),
    model: str = typer.Option(
        "srgan-x4", "-n", "--model", "--model_name", help="Bundled name, file or run."
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
    max_pixels: int = typer.Option(500_000_000, help="Refuse results with more pixels than this."),
    ext: str = typer.Option(
        "auto", help="auto, png, jpg, webp, tiff or avif; auto keeps the input's format if it can."
    ),
    quality: int | None = typer.Option(None, help="1 to 100, for jpg, webp and avif."),
    suffix: str | None = typer.Option(None, help="Added to the name instead of _x4."),
    recursive: bool = typer.Option(
        False, "-r", "--recursive", help="Enter sub-folders, keep the tree."
    ),
    overwrite: bool = typer.Option(False, "--overwrite", help="Replace results that exist."),
    as_json: bool = typer.Option(False, "--json", help="One JSON object per input on stdout."),
) -> int:
    """Make pictures larger; existing results are skipped, so the same command continues."""
    from fourfold.engine.pipeline import OutputSettings, upscale_files
    from fourfold.engine.size import TargetSize
    from fourfold.engine.upscaler import Upscaler
    from fourfold.io.paths import STDIO, find_inputs

    names = [*(inputs or []), *also]
    if not names:
        raise UsageError("upscale: want at least one INPUT, got none")
    settings = OutputSettings(
        size=TargetSize.parse(scale, fit),
        ext=ext.lower().lstrip("."),
        quality=quality,
        suffix=suffix,
        overwrite=overwrite,
        max_pixels=max_pixels,
    )
    found = find_inputs(names, recursive=recursive)
    if out == STDIO and (len(found) != 1 or as_json):
        raise UsageError("-o -: want a single input and no --json")
    upscaler = Upscaler(
        model,
        backend=backend,
        device=device,
        precision=precision,
        tile=_parse_tile(tile),
        texture=texture,
        tta=tta,
        consistency=consistency,
        max_memory=max_memory,
    )
    failed = 0
    console = Console(stderr=True)
    with _progress(console) as progress:
        task = progress.add_task("upscaling", total=len(found))
        for outcome in upscale_files(found, out, upscaler, settings):
            failed += outcome.status == "failed"
            progress.advance(task)
            _report(outcome, as_json=as_json, quiet=out == STDIO)
    return 1 if failed else 0


def _parse_tile(text: str) -> int | str:
    if text in ("auto", "0"):  # Real-ESRGAN's 0 means no tiling of one's own
        return "auto"
    if not text.isdecimal():
        raise UsageError(f"--tile: want a number of input pixels or auto, got {text!r}")
    return int(text)


def _progress(console: Console) -> Progress:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _report(outcome: Outcome, *, as_json: bool, quiet: bool) -> None:
    """Failures on stderr; results on stdout, as JSON when asked."""
    if outcome.status == "failed":
        print(f"fourfold: {' '.join((outcome.reason or '').split())}", file=sys.stderr)
    if as_json:
        print(json.dumps(outcome.as_dict(), ensure_ascii=False), flush=True)
    elif outcome.status == "skipped":
        print(f"{outcome.output} {outcome.reason}", file=sys.stderr)
    elif outcome.status == "done" and not quiet:
        rate = f"{outcome.megapixels_per_second:.1f} MP/s"
        print(
            f"{outcome.output}  {outcome.width}x{outcome.height}  {outcome.seconds:.1f} s  {rate}"
        )
