"""`fourfold evaluate`: models x datasets to a table, JSON, CSV and a report."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fourfold.cli.verbose import VERBOSE
from fourfold.errors import UsageError

if TYPE_CHECKING:
    from fourfold.evaluation import Contestant, Dataset, Scene
    from fourfold.evaluation.evaluate import Metric

BICUBIC = "bicubic"


def evaluate(
    model: Annotated[
        list[str] | None,
        typer.Option(
            "-n", "--model", help="Models to score: names, files or run folders; `bicubic` alone "
            "scores no network. Several may follow one -n."
        ),
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            "--data", "-d", help="Dataset folders (HR/ with LR_bicubic/X4, GTmod12 with LRbicx4, "
            "X4/GT with X4/LR, DIV2K) or any folder of pictures. Several may follow one --data."
        ),
    ] = None,
    film: Annotated[
        list[Path] | None,
        typer.Option("--film", help="Films to measure flicker on, instead of --data."),
    ] = None,
    film_frames: Annotated[int, typer.Option(min=2, help="First frames of each film.")] = 24,
    report: Annotated[
        Path | None, typer.Option(help="Write a self-contained HTML report here.")
    ] = None,
    json_: Annotated[
        bool, typer.Option("--json", help="Print one JSON object instead of the table.")
    ] = False,
    csv: Annotated[Path | None, typer.Option(help="Write the scores of each picture here.")] = None,
    scale: Annotated[
        int | None, typer.Option("-s", "--scale", min=1, help="For `-n bicubic` alone.")
    ] = None,
    no_consistency: Annotated[
        bool, typer.Option("--no-consistency", help="Score the network alone: no back-projection.")
    ] = False,
    texture: Annotated[
        float | None, typer.Option(help="0 (SRResNet) to 1 (SRGAN): score the blend of the two.")
    ] = None,
    tta: Annotated[bool, typer.Option("--tta", help="Average 8 flips and turns.")] = False,
    niqe: Annotated[bool, typer.Option("--niqe", help="Also NIQE, which needs no original.")] = False,
    lpips: Annotated[
        str | None, typer.Option(
            metavar="alex|vgg", help="Also LPIPS with this net; alex by itself where "
            "FOURFOLD_METRICS names its weights."
        )
    ] = None,
    dists: Annotated[
        bool | None, typer.Option("--dists/--no-dists", help="Also DISTS; by itself as LPIPS.")
    ] = None,
    degrade: Annotated[
        str | None, typer.Option(
            metavar="real|jpeg:Q|noise:S", help="Damage the small pictures first: a random past, "
            "JPEG of quality Q, or noise of S grey levels."
        )
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of --degrade; the same gives the same.")] = 0,
    backend: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or torch.")] = "auto",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[
        str, typer.Option(help="auto: what `upscale` uses here; fp32: equal on any machine.")
    ] = "auto",
    tile: Annotated[str, typer.Option("-t", "--tile", help="Side of a tile, or auto.")] = "auto",
    max_memory: Annotated[str, typer.Option(help="What the process should stay under.")] = "1GB",
    verbose: bool = VERBOSE,
) -> None:  # fmt: skip
    """Score models on datasets: PSNR and SSIM on Y and RGB, colour drift, consistency, speed.

    Bicubic enlargement is always a row; published figures are added for the sets they are of.
    """
    from fourfold.evaluation import build_rows, open_datasets, to_csv, to_json
    from fourfold.evaluation import evaluate as run_evaluation
    from fourfold.evaluation.degradation import parse_degradation

    if not data and not film:
        raise UsageError(
            "evaluate: want --data DIR, a dataset or a folder of pictures, or --film CLIP"
        )
    contestants = _contestants(
        model, scale, backend=backend, device=device, precision=precision, texture=texture,
        tta=tta, consistency=False if no_consistency else None, tile=tile, max_memory=max_memory,
    )  # fmt: skip
    if film:
        _films(contestants, film, film_frames, as_json=json_)
    if not data:
        return
    datasets = [
        dataset
        for wanted in sorted({c.scale for c in contestants})
        for dataset in open_datasets(data, scale=wanted)
    ]
    for target in (report, csv):
        if target and target.is_dir():
            raise UsageError(f"{target}: want a file to write, got a folder")
    metrics = _further_metrics(niqe=niqe, lpips=lpips, dists=dists)
    damage = parse_degradation(degrade, seed=seed) if degrade is not None else None
    writer = _report_writer(report)
    with _progress(contestants, datasets) as advance:
        scored = run_evaluation(
            contestants, datasets, metrics=metrics, degradation=damage,
            on_scene=_both(writer and writer.add, advance),
        )  # fmt: skip
    rows = build_rows(scored, contestants, datasets, degradation=damage)
    if csv:
        _write_text(csv, to_csv(scored))
    if writer and report:
        _write_text(report, writer.html(rows))
    if json_:
        sys.stdout.write(to_json(rows))
    else:
        _print_table(rows, [path for path in (report, csv) if path])


def _contestants(names: list[str] | None, scale: int | None, **options: Any) -> list[Contestant]:
    """Bicubic of every scale in play, then the models."""
    from fourfold.evaluation import bicubic, load_contestants
    from fourfold.weights.zoo import DEFAULT_MODEL

    models = [name for name in names or [DEFAULT_MODEL] if name != BICUBIC]
    loaded = load_contestants(models, **options)
    for contestant in loaded:
        if scale not in (None, contestant.scale):
            raise UsageError(
                f"--scale {scale}: {contestant.name} enlarges {contestant.scale} times; leave "
                "--scale away or name another model"
            )
    scales = sorted({c.scale for c in loaded}) or [scale or 4]
    return [*(bicubic(s) for s in scales), *loaded]


def _films(
    contestants: Sequence[Contestant], films: Sequence[Path], frames: int, *, as_json: bool
) -> None:
    """Flicker of every model on every film, as a table or one JSON object."""
    import json

    from fourfold.evaluation.films import PROTOCOL, flicker_rows

    rows = flicker_rows(contestants, films, frames=frames)
    if as_json:
        print(json.dumps({"protocol": PROTOCOL, "rows": rows}, ensure_ascii=False))
        return
    print(PROTOCOL)
    for row in rows:
        print(
            f"{row['film']}  {row['model']}  {row['flicker']:.3f} (bicubic "
            f"{row['flicker_bicubic']:.3f}) on {row['still_share']:.0%} of the pixels"
        )


def _further_metrics(*, niqe: bool, lpips: str | None, dists: bool | None) -> dict[str, Metric]:
    """What is asked for; LPIPS and DISTS unasked where their weights are named and torch is here."""
    from fourfold.runtimes.backend import runtime_module
    from fourfold.weights.readers.perceptual import weights_are_named

    unasked = lpips is None and dists is None and weights_are_named()
    if unasked and runtime_module("torch"):
        lpips, dists = "alex", True
    metrics: dict[str, Metric] = {}
    if niqe:
        from fourfold.metrics.niqe import niqe as naturalness

        metrics["niqe"] = lambda sr, _: naturalness(sr)
    if lpips is not None:
        from fourfold.metrics.perceptual import load_lpips

        # Papers state AlexNet's; the other net's figures must not pass for it.
        metrics["lpips" if lpips == "alex" else f"lpips_{lpips}"] = load_lpips(lpips)
    if dists:
        from fourfold.metrics.perceptual import load_dists

        metrics["dists"] = load_dists()
    return metrics


def _report_writer(report: Path | None) -> Any:
    if report is None:
        return None
    from fourfold.evaluation.report import ReportWriter

    return ReportWriter()


def _both(
    first: Callable[[Scene], None] | None, second: Callable[[Scene], None] | None
) -> Callable[[Scene], None]:
    def call(scene: Scene) -> None:
        for function in (first, second):
            if function:
                function(scene)

    return call


def _progress(contestants: Sequence[Contestant], datasets: Sequence[Dataset]) -> Any:
    """A bar on a terminal's stderr; nothing elsewhere."""
    if not sys.stderr.isatty():
        return nullcontext(None)
    from fourfold.cli.evaluate_display import picture_progress

    return picture_progress(sum(len(d.pairs) for d in datasets))


def _write_text(path: Path, text: str) -> None:
    from fourfold.files.paths import atomic_path

    with atomic_path(path) as part:
        part.write_text(text, encoding="utf-8")


def _print_table(rows: list[dict[str, Any]], written: list[Path]) -> None:
    from fourfold.cli.evaluate_display import print_table

    print_table(rows, written)
