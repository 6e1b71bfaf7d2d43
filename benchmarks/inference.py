"""Megapixels per second of every backend, in turns, against plain torch and the machine's ceiling.

    python benchmarks/inference.py [--size 256] [--rounds 7] [--out benchmarks/results/inference.md]

Ratios are medians of ratios round by round, so they hold on a noisy machine; seconds do not.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from stamp import stamp

from fourfold.engine.bench import Report, measure


def table(report: Report) -> str:
    lines = [
        f"{stamp()} · {report.model} · {report.size}×{report.size} in",
        "",
        "| way | s | MP/s out | GFLOP/s | ratio |",
        "|---|---|---|---|---|",
    ]
    for rate in report.rates:
        ratio = "-" if rate.ratio is None else f"{rate.ratio:.2f}"
        cells = [f"{rate.seconds:.3f}", f"{rate.megapixels_per_second:.2f}", f"{rate.gflops:.0f}"]
        lines.append(f"| {rate.name} | {' | '.join(cells)} | {ratio} |")
    ceiling = ", ".join(f"{name} {value:.0f}" for name, value in report.matmul_gflops.items())
    lines += ["", f"2048×2048 matrix product on this machine, GFLOP/s: {ceiling}"]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="srgan-x4")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = table(measure(arguments.model, size=arguments.size, rounds=arguments.rounds))
    print(text)
    if arguments.out:
        arguments.out.parent.mkdir(parents=True, exist_ok=True)
        arguments.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
