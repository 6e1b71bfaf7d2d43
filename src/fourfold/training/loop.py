"""The training loop, for both stages."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor

from fourfold.datasets.crops import Batch
from fourfold.engine.upscaler import Upscaler
from fourfold.errors import ConfigError, OutputError, TrainingError
from fourfold.training.build import (
    Start,
    fit_to_start,
    load_start,
    make_objective,
    make_state,
    open_crops,
)
from fourfold.training.checkpoint import (
    disk_use,
    list_checkpoints,
    mark_best,
    restore_newest,
    save_checkpoint,
)
from fourfold.training.config import TrainConfig
from fourfold.training.device import make_accelerator
from fourfold.training.display import Display, LogDisplay
from fourfold.training.health import Health
from fourfold.training.lessons import PER_FILE, LessonBatch, LessonStream
from fourfold.training.monitor import Monitor
from fourfold.training.run_folder import RunFolder, changed_settings
from fourfold.training.schedule import learning_rate_at, set_rate
from fourfold.training.signals import StopRequest, stop_on_signal
from fourfold.training.state import TrainState
from fourfold.training.steps import Objective, StepReport, adversarial_step, generator_step
from fourfold.training.teacher import imitation_psnr, speed_of
from fourfold.training.trial import settle_precision
from fourfold.training.validate import open_validation, score_bicubic, to_model, validate
from fourfold.weights.format import Model, save_model

if TYPE_CHECKING:
    from accelerate import Accelerator

    from fourfold.datasets import CropStream
    from fourfold.evaluation import Dataset
    from fourfold.metrics.protocol import Scores


@dataclass(frozen=True)
class Run:
    """What a run works with; only `state` changes."""

    config: TrainConfig
    folder: RunFolder
    accelerator: Accelerator
    state: TrainState
    objective: Objective
    crops: CropStream | LessonStream
    valid: list[Dataset]
    bicubic: dict[str, Scores]
    monitor: Monitor
    health: Health


def train(
    config: TrainConfig,
    *,
    output: Path,
    start: str | None = None,
    resume: bool = False,
    display: Display | None = None,
) -> TrainState:
    """Train until `config.steps`, or until a signal asks to end; returns the state reached.

    Args:
        config: the settings.
        output: the run's folder.
        start: weights to begin from (bundled name, model file, run folder, Keras `.h5`).
        resume: go on from the newest whole checkpoint in `output`; begins where there is none.
        display: where the run shows itself; the log by default.

    Raises `FourfoldError`s that name the setting or file before the first step; `TrainingError`
    when the loss stays non-finite.
    """
    run, opening = _open_run(config, output, start, resume=resume, display=display or LogDisplay())
    main = run.accelerator.is_main_process
    with run.folder.held(new=not opening.resumed) if main else nullcontext():
        try:
            _begin(run, opening)
            with stop_on_signal() as stop:
                _take_steps(run, stop)
        finally:
            run.monitor.close()
    return run.state


class _Opening(NamedTuple):
    """How a run came to its state, for the journal."""

    resumed: bool
    notes: list[str]
    begin: Start | None
    before: TrainConfig | None


def _open_run(
    config: TrainConfig, output: Path, start: str | None, *, resume: bool, display: Display
) -> tuple[Run, _Opening]:
    folder = RunFolder(output)
    resume = resume and folder.begun()
    before = folder.read_config() if resume else None
    config = settle_precision(config, before)
    accelerator = make_accelerator(config)
    monitor = Monitor(
        output, steps=config.steps, display=display, writes=accelerator.is_main_process
    )
    begin: Start | None = None
    if before is not None:
        config = config.model_copy(update={"model": before.model})
    elif not resume:
        folder.check_new()
        begin = load_start(start) if start else None
        if begin is None and config.adversarial and not config.gan.allow_random_start:
            raise ConfigError(
                "an SRGAN starts from a trained generator: --from RUN of an SRResNet, --from "
                "srresnet-x4, or --set gan.allow_random_start=true if random is meant"
            )
        config = fit_to_start(config, begin) if begin else config
    # First what fails at once: lessons take long.
    objective = make_objective(config, accelerator)
    crops = open_crops(config, accelerator, progress=partial(_say_lessons, monitor))
    main = accelerator.is_main_process
    valid = open_validation(config.data, scale=config.model.scale) if main else []
    state = make_state(config, begin, accelerator)
    run = Run(
        config=config,
        folder=folder,
        accelerator=accelerator,
        state=state,
        objective=objective,
        crops=crops,
        valid=valid,
        bicubic=score_bicubic(valid),
        monitor=monitor,
        health=Health(config.health),
    )
    notes = list(restore_newest(folder.checkpoints, state)) if resume else []
    monitor.psnr_y = state.last_psnr
    return run, _Opening(resume, notes, begin, before)


def _say_lessons(monitor: Monitor, done: int, count: int) -> None:
    if monitor.writes and (done == count or done % (10 * PER_FILE) == 0):
        monitor.display.say(f"lessons: {done} of {count}")


def _announce_teacher(run: Run, lessons: LessonStream) -> None:
    """Say what is learned from, and what it is good for."""
    state, config = run.state, run.config
    student = Upscaler(to_model(state.result, config, step=state.step), device="cpu")
    ours, theirs = speed_of(student), lessons.teacher_speed
    text = f"{len(lessons)} lessons of {lessons.teacher} in {lessons.lessons.folder}; MP/s here: "
    text += f"teacher {theirs:.2f}, student {ours:.2f}, {ours / theirs:.1f} times"
    run.monitor.event("teacher", step=state.step, text=text)


def _begin(run: Run, opening: _Opening) -> None:
    """Say where the run stands and what disk it will use; keep its settings."""
    state, event = run.state, run.monitor.event
    run.accelerator.wait_for_everyone()
    run.monitor.begin(state.step)
    if isinstance(run.crops, LessonStream) and run.accelerator.is_main_process:
        _announce_teacher(run, run.crops)
    for note in opening.notes:
        event("damaged", step=state.step, text=note, warning=True)
    for problem in run.crops.pairs.skipped:
        event("skipped", step=state.step, text=f"{problem}; left out", warning=True)
    one, most = disk_use(state, keep=run.config.keep_checkpoints)
    lines = [f"{len(run.crops.pairs)} pictures to learn from; {run.accelerator.device} "]
    lines[0] += f"{run.config.precision}, {run.accelerator.num_processes} process(es)"
    lines.append(f"checkpoints: {one / 1e6:.0f} MB each, at most {most / 1e6:.0f} MB in all")
    if opening.begin is not None:
        lines.append(f"starting from {opening.begin.source}")
    if opening.before is not None:
        psnr = f", PSNR {state.last_psnr:.2f} dB" if state.last_psnr is not None else ""
        lines.append(f"resumed from step {state.step}{psnr}")
        changes = changed_settings(opening.before, run.config)
        lines += [f"changed since: {change}" for change in changes]
    for line in lines:
        event("begin", step=state.step, text=line)
    if run.accelerator.is_main_process:
        run.folder.write_config(run.config)


def _take_steps(run: Run, stop: StopRequest) -> None:
    config, state, accelerator = run.config, run.state, run.accelerator
    batches: Generator[Batch | LessonBatch, None, None] = run.crops.batches(
        state.samples,
        size=config.batch_size,
        rank=accelerator.process_index,
        processes=accelerator.num_processes,
        workers=config.data.workers,
    )
    rollbacks = 0
    try:
        while state.step < config.steps and not _stopped(stop, accelerator):
            report = _one_step(run, next(batches))
            state.samples += config.batch_size
            if not report.finite:
                if run.health.after_bad_step():
                    rollbacks += 1
                    _roll_back(run, rollbacks)
                else:
                    text = f"step {state.step}: loss or gradient not finite, step skipped"
                    run.monitor.event("skipped", step=state.step, text=text, warning=True)
                continue
            state.step += 1
            run.monitor.after_step(report.losses, samples=config.batch_size)
            for warning in run.health.after_step(report.losses):
                run.monitor.event("health", step=state.step, text=warning, warning=True)
            _after_step(run)
    finally:
        batches.close()
    if state.step < config.steps:  # asked to stop
        _checkpoint(run, required=True)
        text = f"stopped at step {state.step}; --resume goes on from here"
        run.monitor.event("stopped", step=state.step, text=text)


def _stopped(stop: StopRequest, accelerator: Accelerator) -> bool:
    """Whether a signal reached any process: they must leave the loop together."""
    asked = stop.signal is not None
    if accelerator.num_processes == 1:
        return asked
    flag = torch.tensor(float(asked), device=accelerator.device)
    torch.distributed.all_reduce(flag)
    return bool(flag > 0)


def _one_step(run: Run, batch: Batch | LessonBatch) -> StepReport:
    config, state = run.config, run.state
    rate = learning_rate_at(state.step, config.optimizer, steps=config.steps)
    set_rate(state.optimizer_g, rate, epsilon=config.optimizer.epsilon)
    pictures = {
        name: _to_device(pixels, run.accelerator, channels_last=config.channels_last)
        for name, pixels in batch._asdict().items()
    }
    lr = pictures.pop("lr")
    shared = {
        "objective": run.objective,
        "accelerator": run.accelerator,
        "clip_norm": config.optimizer.clip_norm,
    }
    statistics = _running_statistics(state)
    if state.discriminator is None:
        report = generator_step(state, lr, pictures, **shared)
    else:
        assert state.optimizer_d is not None
        own = config.gan.discriminator_rate / config.optimizer.learning_rate
        set_rate(state.optimizer_d, rate * (own or 1), epsilon=config.optimizer.epsilon)
        learns = state.step >= config.gan.lead_in
        report = adversarial_step(state, lr, pictures, generator_learns=learns, **shared)
    if not report.finite:
        for kept, buffer in statistics:
            buffer.copy_(kept)
    elif state.ema is not None:
        state.ema.update(state.generator, step=state.step)
    return report


def _running_statistics(state: TrainState) -> list[tuple[Tensor, Tensor]]:
    """BatchNorm's statistics before a step: a forward pass changes them even if it fails."""
    networks = [n for n in (state.generator, state.discriminator) if n is not None]
    kept = ("running", "parametrizations")  # of BatchNorm, and of the spectral norm's iteration
    buffers = [
        b for n in networks for name, b in n.named_buffers() if any(word in name for word in kept)
    ]
    return [(buffer.clone(), buffer) for buffer in buffers]


def _to_device(pixels: object, accelerator: Accelerator, *, channels_last: bool) -> Tensor:
    """uint8 `(N, H, W, 3)` to float `(N, 3, H, W)` in [0, 1]."""
    tensor = torch.as_tensor(pixels).to(accelerator.device).permute(0, 3, 1, 2).float() / 255
    return tensor if channels_last else tensor.contiguous()


def _after_step(run: Run) -> None:
    """Report, validate and save when it is time."""
    config, step = run.config, run.state.step
    last = step == config.steps
    if step % config.report_every == 0 or last:
        rate = learning_rate_at(step - 1, config.optimizer, steps=config.steps)
        run.monitor.report(step, learning_rate=rate)
    paused = run.monitor.pause()
    validated = step % config.validate_every == 0 or last
    best = _validate(run) if validated else False
    if validated or step % config.checkpoint_every == 0:
        _checkpoint(run, best=best, required=last)
    run.monitor.go_on(paused)


def _validate(run: Run) -> bool:
    """Score, draw, write the model file; whether this is the best so far."""
    state, config = run.state, run.config
    if not run.accelerator.is_main_process:
        return False
    model = to_model(state.result, config, step=state.step)
    psnr: float | None = None
    scores: Mapping[str, Scores] | None = None
    if isinstance(run.crops, LessonStream):
        psnr = imitation_psnr(model, run.crops, consistency=config.consistency)
        run.monitor.imitation(state.step, psnr)
    if run.valid:
        found = validate(model, run.valid, consistency=config.consistency)
        run.monitor.validation(state.step, found, run.bicubic)
        for warning in run.health.after_validation(found.scores, run.bicubic):
            run.monitor.event("health", step=state.step, text=warning, warning=True)
        psnr, scores = found.psnr_y, found.scores
    if psnr is None:
        _write_model(run, model)
        return False
    state.last_psnr = run.monitor.psnr_y = psnr
    best = state.best_psnr is None or psnr > state.best_psnr
    if best:
        state.best_psnr, state.best_step = psnr, state.step
    if best or config.model_file == "last":
        _write_model(run, to_model(state.result, config, step=state.step, scores=scores))
    return best


def _write_model(run: Run, model: Model) -> None:
    try:
        save_model(model, run.folder.model)
    except OutputError as error:
        _unsaved(run, error)


def _checkpoint(run: Run, *, best: bool = False, required: bool = False) -> None:
    """Save; when the disk refuses, say so and go on with the old ones, unless it is the last."""
    if run.accelerator.is_main_process:
        try:
            path = save_checkpoint(
                run.folder.checkpoints, run.state, keep=run.config.keep_checkpoints
            )
            if best:
                mark_best(path)
            if not run.folder.model.is_file():  # no validation yet: any model is better than none
                _write_model(run, to_model(run.state.result, run.config, step=run.state.step))
        except OutputError as error:
            if required:
                raise
            _unsaved(run, error)
    run.accelerator.wait_for_everyone()


def _unsaved(run: Run, error: OutputError) -> None:
    kept = [old.stem for old in list_checkpoints(run.folder.checkpoints)]
    text = f"{error}; the run goes on, kept so far: {', '.join(kept) or 'none'}"
    run.monitor.event("unsaved", step=run.state.step, text=text, warning=True)


def _roll_back(run: Run, count: int) -> None:
    """Return to the newest checkpoint, but not to its data: the crops since are not met again."""
    state, limit = run.state, run.config.health.max_rollbacks
    if count > limit or not run.folder.begun():
        why = f"after {limit} returns to a checkpoint" if count > limit else "and no checkpoint yet"
        raise TrainingError(
            f"step {state.step}: the loss is not finite {why}; lower optimizer.learning_rate, set "
            "optimizer.clip_norm or use another precision"
        )
    samples = state.samples
    failed = state.step
    for note in restore_newest(run.folder.checkpoints, state):
        run.monitor.event("damaged", step=failed, text=note, warning=True)
    state.samples = samples
    run.health.after_rollback()
    text = f"step {failed}: loss not finite again and again; back to step {state.step}"
    run.monitor.event("rollback", step=state.step, text=text, warning=True)


__all__ = ["train"]
