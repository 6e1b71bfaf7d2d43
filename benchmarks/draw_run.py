"""Draw a training run's journal as curves, and keep what the documentation shows of it.

usage: python benchmarks/draw_run.py RUN OUT      (pip install matplotlib)

Writes OUT/curves.png, OUT/journal.jsonl (validations, events and every tenth report), and
OUT/samples.webp: the first three rows of the last sample grid.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import pyvips

from fourfold.pictures.images import read_pixels
from fourfold.training.journal import read_journal

mpl.use("Agg")
import matplotlib.pyplot as plt

REPORTS = 300  # kept of a journal
ROW = 196  # height of a row of the grid with its gap
COLOURS = {"lines": ("#1b6ca8", "#c1440e", "#3a7d44", "#7a4d9f"), "floor": "#999999"}


def main(run: Path, out: Path) -> None:
    lines = read_journal(run / "journal.jsonl")
    out.mkdir(parents=True, exist_ok=True)
    reports = [line for line in lines if line["event"] == "report"]
    every = max(1, len(reports) // REPORTS)
    kept = [line for line in lines if line["event"] != "report"] + reports[::every]
    kept.sort(key=lambda line: line["step"])
    text = "".join(json.dumps(line) + "\n" for line in kept)
    text = text.replace(str(run.parent), "runs").replace(str(Path.home()), "~")
    (out / "journal.jsonl").write_text(text)
    draw(reports, [line for line in map(scored, lines) if line], out / "curves.png")
    samples = list((run / "samples").glob("*.png"))
    if samples:
        last = max(samples, key=lambda path: int(path.stem))
        grid = pyvips.Image.new_from_array(read_pixels(last)[: 3 * ROW - 4])
        grid.webpsave(str(out / "samples.webp"), Q=90)


def scored(line: dict[str, Any]) -> dict[str, Any] | None:
    """A validation, or in its place the distance to a teacher."""
    if line["event"] == "imitation":
        return {
            "step": line["step"],
            "scores": {"to the teacher": {"psnr_y": line["psnr_to_teacher"]}},
        }
    return line if line["event"] == "validation" else None


def draw(reports: list[dict[str, Any]], scores: list[dict[str, Any]], path: Path) -> None:
    gan = "d_hr" in reports[0]
    figure, axes = plt.subplots(1, 3 if gan else 2, figsize=(12 if gan else 8, 3.2), dpi=100)
    steps = [line["step"] for line in reports]
    terms = [name for name in ("content", "lpips") if name in reports[0]]
    wanted = (*terms, "discriminator") if gan else ("generator",)
    for colour, name in zip(COLOURS["lines"], wanted, strict=False):
        axes[0].plot(steps, [line[name] for line in reports], color=colour, label=name, lw=0.8)
    axes[0].set(title="losses", xlabel="step")
    axes[0].legend(frameon=False)
    names = dict.fromkeys(name for line in scores for name in line["scores"])
    for colour, name in zip(COLOURS["lines"], names, strict=False):
        own = [line for line in scores if name in line["scores"]]
        values = [line["scores"][name]["psnr_y"] for line in own]
        at = [line["step"] for line in own]
        axes[1].plot(at, values, color=colour, marker="o", ms=3, label=name)
    axes[1].set(title="PSNR [dB] without consistency step", xlabel="step")
    if names:
        axes[1].legend(frameon=False)
    if gan:
        for colour, name in zip(COLOURS["lines"], ("d_hr", "d_sr"), strict=False):
            label = "D(hr)" if name == "d_hr" else "D(sr)"
            axes[2].plot(steps, [line[name] for line in reports], color=colour, lw=0.8, label=label)
        axes[2].set(title="discriminator", xlabel="step", ylim=(0, 1))
        axes[2].legend(frameon=False)
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
