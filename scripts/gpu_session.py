"""Train the distilled models on a borrowed GPU: one small file there, the models back.

    python scripts/gpu_session.py pack --data photos --teacher realesrgan-x4plus.param \\
        --metrics weights -o bundle.zip
    python scripts/gpu_session.py run bundle.zip -o models

`pack` puts the teacher, VGG16 with the heads of LPIPS and as many crops of the photographs as there is
room for into one file below --megabytes. `run` takes the recipes in the order in which they build on
each other, each with its share of --minutes, and puts what a stage made into its folder in -o as soon as it
is whole: model.safetensors, config.toml, journal.jsonl. The same command goes on where it was ended.

A stage trains at most as long as its recipe says. What it makes there is shorter-trained than that wherever
the minutes do not suffice; the summary says by how much. What the bundle changes is told in gpu_bundle.py.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

from gpu_bundle import pack, teacher_in, unpack, variable

from fourfold.errors import FourfoldError, TrainingError
from fourfold.files.parts import part_folder
from fourfold.training.build import open_crops
from fourfold.training.config import TrainConfig
from fourfold.training.device import make_accelerator
from fourfold.training.display import Status
from fourfold.training.lessons import PER_FILE
from fourfold.training.loop import train
from fourfold.training.recipes import load_config
from fourfold.training.run_folder import RunFolder
from fourfold.training.trial import settle_precision
from fourfold.weights.readers.perceptual import VARIABLE

RESULTS: Final = ("model.safetensors", "config.toml", "journal.jsonl")
LESSONS_SHARE: Final = 0.3
"""Of a stage's time, for its teacher at most; as many lessons as that gives."""
MARGIN: Final = 0.9
"""Of the rest, for steps; validation and checkpoints take time too."""
TRIAL: Final = (16, 4)
"""Steps of a trial, and those between two looks at the clock."""


class Stage(NamedTuple):
    """One run of a recipe."""

    name: str
    recipe: str
    share: float
    """Of the time, against the shares of all stages that are still to do."""
    start: str = ""
    """What it begins from: a stage before it, or a model's name."""
    photo: bool = False
    """Whether the bundle's teacher is its teacher."""
    changes: tuple[str, ...] = ()
    """Settings, as for `fourfold train --set`."""


FAST: Final = ("model.width=48", "model.depth=10", "losses.steady.weight=0.01")
STAGES: Final = (
    Stage("srresnet_fast_x4", "srresnet_fast_x4", 20),
    Stage("srgan_fast_x4", "srgan_fast_x4", 10, "srresnet_fast_x4"),
    Stage("srgan_photo_x4", "srgan_photo_x4", 25, photo=True),
    Stage("sharpen_photo_x4", "sharpen_photo_x4", 15, "srgan_photo_x4", photo=True),
    Stage("srgan_photo_fast_x4", "srgan_photo_fast_x4", 10, "srresnet_fast_x4", photo=True),
    Stage("sharpen_photo_fast_x4", "sharpen_photo_x4", 10, "srgan_photo_fast_x4", True, FAST),
    Stage("srgan_sharper_x4", "srgan_sharper_x4", 10, "srgan-x4"),
)


class Outcome(NamedTuple):
    """What became of a stage."""

    name: str
    done: bool
    text: str


class TimeIsUp(KeyboardInterrupt):
    """The session ends; no `except Exception` of a library may hold it up."""


class EnoughLessons(Exception):
    """Raised between two files of lessons, `args[0]` of which are there."""


def run_session(
    bundle: Path,
    out: Path,
    *,
    minutes: float = 25.0,
    work: Path | None = None,
    stages: Sequence[Stage] = STAGES,
) -> list[Outcome]:
    """Run what is missing in `out`, and say what became of each stage.

    Args:
        bundle: what `pack` made.
        out: a folder for each stage is in it, whole or not at all.
        minutes: after which the stage at hand ends with a checkpoint in `work`.
        work: everything else, gigabytes; beside the bundle unless given.
        stages: in the order in which they build on each other.
    """
    end = time.monotonic() + minutes * 60
    session = Session(unpack(bundle, work or bundle.with_suffix(".work")), out, stages)
    outcomes: list[Outcome] = []
    with variable(VARIABLE, str(session.folder / "vgg16.ckpt")):
        for place, stage in enumerate(stages):
            left = [s.share for s in stages[place:] if not (out / s.name).is_dir()]
            try:
                outcome = session.try_stage(stage, end=end, share=stage.share / (sum(left) or 1))
            except TimeIsUp:  # nor is there any for the stages after it
                end = 0.0
                outcome = Outcome(stage.name, False, "not done: the time is up")
            outcomes.append(outcome)
            print(f"{stage.name}: {outcome.text}", flush=True)
    return outcomes


@contextmanager
def ending_at(end: float) -> Iterator[None]:
    """Have training stop with a checkpoint at `end`, anything else with `TimeIsUp`; so does SIGTERM."""

    def stop(_number: int, _frame: Any) -> None:
        raise TimeIsUp

    before = signal.signal(signal.SIGTERM, stop)
    where = threading.main_thread().ident or 0  # so that what it waits for is interrupted too
    wait = max(end - time.monotonic(), 0)
    timer = threading.Timer(wait, signal.pthread_kill, (where, signal.SIGTERM))
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        try:
            timer.cancel()
            timer.join()
        finally:
            signal.signal(signal.SIGTERM, before)


class Session(NamedTuple):
    """Where things lie."""

    folder: Path
    """The unpacked bundle, and what is made on the way."""
    out: Path
    stages: Sequence[Stage]

    def try_stage(self, stage: Stage, *, end: float, share: float) -> Outcome:
        """Run a stage in its share of the time until `end`.

        Whatever goes wrong with it is told, so that the others go on. Raises `TimeIsUp`.
        """
        if (self.out / stage.name).is_dir():
            return Outcome(stage.name, True, "there already")
        began = time.monotonic()
        if began >= end:
            raise TimeIsUp
        try:
            with ending_at(end):
                steps = self.train(stage, (end - began) * share)
        except FourfoldError as error:
            return Outcome(stage.name, False, f"failed: {error}")
        except Exception as error:
            traceback.print_exc()
            told = f"{type(error).__name__}: {error}".splitlines()[0]
            return Outcome(stage.name, False, f"failed: {told}")
        return Outcome(stage.name, True, f"{steps} in {time.monotonic() - began:.0f} s")

    def train(self, stage: Stage, seconds: float) -> str:
        """Train, or go on, and publish; how many steps of how many."""
        run = RunFolder(self.folder / "runs" / stage.name)
        wanted = load_config(stage.recipe, changes=self.settings(stage))
        config, start = run.read_config() if run.begun() else None, None
        if config is None:
            shutil.rmtree(run.path, ignore_errors=True)
            start = self.start_of(stage)
            config = plan(wanted, start, run.path, seconds)
        state = train(config, output=run.path, start=start, resume=start is None)
        if state.step < config.steps:
            raise TimeIsUp
        publish(run.path, self.out / stage.name)
        return f"{state.step} of {wanted.steps} steps"

    def start_of(self, stage: Stage) -> str | None:
        """The weights a stage begins from."""
        made = self.out / stage.start
        if stage.start not in {other.name for other in self.stages}:
            return stage.start or None
        if not made.is_dir():
            raise TrainingError(f"begins from {stage.start}, which was not done")
        return str(made)

    def settings(self, stage: Stage) -> list[str]:
        """What differs from the recipe: where things are, and what this stage changes."""
        values: dict[str, Any] = {
            "name": stage.name,
            "data.train": str((self.folder / "photos").resolve()),
            "data.valid": [],  # scored at home
            "data.cache": str((self.folder / "pictures").resolve()),
            "data.workers": 4,
            "teacher.cache": str((self.folder / "lessons").resolve()),
        }
        if stage.photo:
            values["teacher.model"] = str(teacher_in(self.folder).resolve())
        asked = [f"{key}={json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
        return [*asked, *stage.changes]


def plan(config: TrainConfig, start: str | None, folder: Path, seconds: float) -> TrainConfig:
    """The config with as many lessons and steps as `seconds` allow here, at most its own."""
    end = time.monotonic() + seconds
    config = settle_precision(config, None)
    if config.teacher.model:
        config = make_lessons(config, seconds)
    each = seconds_of_step(config, start, folder.with_name(f"{folder.name}.trial"))
    left = end - time.monotonic()
    steps = min(config.steps, int(MARGIN * left / each))
    if steps < 1:
        raise TrainingError(
            f"a step takes {each:.3f} s and {left:.1f} s are left; want more minutes"
        )
    print(f"{config.name}: {steps} steps of {each:.4f} s", flush=True)
    tenth = steps // 10  # what comes before the work itself must leave time for it
    gan = {"lead_in": min(config.gan.lead_in, tenth)}
    rates = {"warmup": min(config.optimizer.warmup, tenth)}
    return config.model_copy(
        update={
            "steps": steps,
            "gan": config.gan.model_copy(update=gan),
            "optimizer": config.optimizer.model_copy(update=rates),
        }
    )


def make_lessons(config: TrainConfig, seconds: float) -> TrainConfig:
    """Make lessons until they are all there or their share of `seconds` is over; the config with as many.

    Raises `TrainingError` where not even the fewest can be made in `seconds`.
    """
    teacher, began = config.teacher, time.monotonic()

    def progress(done: int, _count: int) -> None:
        spent = time.monotonic() - began
        if done >= teacher.held_back + PER_FILE and spent > LESSONS_SHARE * seconds:
            raise EnoughLessons(done)
        if spent > seconds:
            raise TrainingError(
                f"{done} lessons took {spent:.1f} s, all there were; want more minutes"
            )

    try:
        open_crops(config, make_accelerator(config), progress=progress)
    except EnoughLessons as enough:
        return config.model_copy(
            update={"teacher": teacher.model_copy(update={"lessons": enough.args[0]})}
        )
    return config


class Stopwatch:
    """A display that looks at the clock."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, float]] = []

    def update(self, status: Status) -> None:
        self.seen.append((status.step, time.perf_counter()))

    def say(self, text: str, *, warning: bool = False) -> None:
        """Nobody asks a trial."""

    def close(self) -> None:
        """Nothing to end."""

    @property
    def seconds(self) -> float:
        """Of a step, without the first ones, in which much is made ready."""
        return statistics.median((b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(self.seen))


def seconds_of_step(config: TrainConfig, start: str | None, folder: Path) -> float:
    """Train a few steps in `folder`, in which both networks learn."""
    steps, pause = TRIAL
    teacher = config.teacher
    few = min(teacher.lessons, teacher.held_back + PER_FILE)
    trial = config.model_copy(
        update={
            "steps": steps,
            "report_every": pause,
            "gan": config.gan.model_copy(update={"lead_in": 0}),
            "teacher": teacher.model_copy(update={"lessons": few}),
        }
    )
    shutil.rmtree(folder, ignore_errors=True)
    watch = Stopwatch()
    try:
        if train(trial, output=folder, start=start, display=watch).step < steps:
            raise TimeIsUp
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return watch.seconds


def publish(run: Path, target: Path) -> None:
    """Copy a run's results; `target` is there with all of them or not at all."""
    with part_folder(target) as part:
        for name in RESULTS:
            shutil.copyfile(run / name, part / name)


def main(arguments: Sequence[str] | None = None, stages: Sequence[Stage] = STAGES) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    packing = commands.add_parser("pack", help="make the bundle")
    packing.add_argument("--data", type=Path, nargs="+", required=True, metavar="PHOTOS")
    packing.add_argument("--teacher", type=Path, required=True, help=".param beside its .bin")
    packing.add_argument("--metrics", type=Path, required=True, help=f"as for ${VARIABLE}")
    packing.add_argument("-o", "--output", type=Path, required=True, metavar="BUNDLE")
    packing.add_argument("--megabytes", type=float, default=60.0)
    running = commands.add_parser("run", help="train there")
    running.add_argument("bundle", type=Path)
    running.add_argument("-o", "--output", type=Path, required=True, metavar="OUT")
    running.add_argument("--minutes", type=float, default=25.0)
    running.add_argument("--work", type=Path, help="for gigabytes; beside the bundle unless given")
    asked = parser.parse_args(arguments)
    try:
        if asked.command == "pack":
            made = pack(
                asked.data, asked.teacher, asked.metrics, asked.output, megabytes=asked.megabytes
            )
            print(made)
            return 0
        outcomes = run_session(
            asked.bundle, asked.output, minutes=asked.minutes, work=asked.work, stages=stages
        )
    except FourfoldError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    told = "".join(f"{outcome.name}: {outcome.text}\n" for outcome in outcomes)
    asked.output.mkdir(parents=True, exist_ok=True)
    (asked.output / "summary.txt").write_text(told, encoding="utf-8")
    print(f"\n{asked.output}:\n{told}", end="")
    return 0 if all(outcome.done for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
