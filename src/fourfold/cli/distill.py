"""`fourfold distill`: a small network that imitates a large one, many times as fast."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import typer

from fourfold.errors import ConfigError, UsageError

STUDENTS: Final[dict[str, dict[str, Any]]] = {
    "fast": {"architecture": "plain", "width": 48, "depth": 8},
    "photo": {"architecture": "plain", "width": 64, "depth": 16},
}
"""Sizes that proved themselves, by name: for films and old machines; for photographs with faults."""

_DEGRADATIONS: Final = {"photo": "mixed"}


def distill(
    teacher: str = typer.Argument(..., help="The model to imitate: whatever `upscale -n` takes."),
    data: list[str] = typer.Option(
        [], "--data", "-d", metavar="DIR", help="Folders of sharp pictures to learn from."
    ),
    student: str = typer.Option(
        "fast", help="fast (plain 48x8), photo (plain 64x16), or a network of the catalogue."
    ),
    scale: int | None = typer.Option(
        None, "-s", "--scale", min=1, help="Of the student; the teacher's unless given."
    ),
    degradation: str | None = typer.Option(
        None, help="bicubic, jpeg, real or mixed: what the pictures to enlarge will look like."
    ),
    output: Path | None = typer.Option(
        None, "--output", "-o", help="Folder of the run; runs/STUDENT-of-TEACHER unless given."
    ),
    changes: list[str] = typer.Option(
        [], "--set", metavar="KEY=VALUE", help="Change a setting of the recipe `distill`."
    ),
    start: str | None = typer.Option(
        None, "--from", metavar="WEIGHTS", help="A student to begin from."
    ),
    resume: bool = typer.Option(False, "--resume", help="Go on from the newest checkpoint."),
) -> None:
    """Train a small network on what a large one makes of your pictures."""
    from fourfold.cli.train import run_training

    if not data:
        raise UsageError("distill: want --data DIR, a folder of sharp pictures")
    name = f"{student}-of-{Path(teacher).stem}"
    values: dict[str, Any] = {
        "name": name,
        "description": f"{student} student of {Path(teacher).name}",
        "teacher.model": teacher,
        "data.train": data,
        "data.degradation": degradation or _DEGRADATIONS.get(student, "bicubic"),
    }
    values |= {f"model.{key}": value for key, value in _student(student).items()}
    values["model.scale"] = scale or _scale_of(teacher)
    asked = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    output = output or Path("runs") / name
    run_training("distill", [*asked, *changes], output=output, start=start, resume=resume)


def _student(name: str) -> dict[str, Any]:
    from fourfold.cli.train import want_torch

    want_torch()
    from fourfold.networks.catalog import CATALOG

    if name in STUDENTS:
        return STUDENTS[name]
    if name not in CATALOG:
        raise ConfigError(
            f"--student: want one of {', '.join([*STUDENTS, *CATALOG])}, got {name!r}"
        )
    return {"architecture": name}


def _scale_of(teacher: str) -> int:
    from fourfold.engine.network import load_network

    return load_network(teacher).scale
