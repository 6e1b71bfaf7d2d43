"""`fourfold upscale` of a folder that is remote, shared out, or done by a cluster."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fourfold.cli.bars import OneBar
from fourfold.cli.lines import by_models, json_line, one_line
from fourfold.cli.watch import clock
from fourfold.errors import UsageError
from fourfold.files.addresses import scheme

if TYPE_CHECKING:
    from fourfold.cluster.run import Estimate, State, Workers
    from fourfold.cluster.worker import Batch

_NAMED = 20
"""Failures that are named on stderr; the list has all."""


def is_for_many(
    names: list[str], out: str | None, *, engine: str, shard: str | None, of_ray: str | None
) -> bool:
    """Whether a command is a batch with a manifest, not files of this machine one by one.

    `UsageError` where options of Ray are given without it.
    """
    if engine == "local" and of_ray:
        raise UsageError("--address and --workers: want --engine ray with them")
    remote = any(scheme(name) for name in (*names, out or ""))
    return remote or engine != "local" or shard is not None


def upscale_many(
    names: list[str],
    out: str | None,
    options: dict[str, Any],
    *,
    workers: Workers,
    shard: str | None,
    recursive: bool,
    retries: int,
    max_errors: int | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """Do it, or say what it would cost; the exit code."""
    from fourfold.cluster.run import estimate_batch, run_batch
    from fourfold.cluster.shards import Shard

    batch = _batch(names, out, options, recursive=recursive, retries=retries)
    share = None if shard is None else Shard.parse(shard)
    with terminable():
        if dry_run:
            _tell(estimate_batch(batch, shard=share, workers=workers), as_json=as_json)
            return 0
        with _Show(as_json=as_json) as show:
            state = run_batch(
                batch, shard=share, workers=workers, max_errors=max_errors, report=show
            )
    models = f" ({by_models(+show.models)})" if +show.models else ""
    print(one_line(_summary(state) + models), file=sys.stderr)
    for reason in show.reasons:
        print(one_line(f"fourfold: {reason}"), file=sys.stderr)
    if state.failed:
        from fourfold.cluster.manifest import FAILED

        where = f"{batch.target.rstrip('/')}/{FAILED}"
        failed = f"fourfold: {state.failed} of {state.todo} failed; the list is {where}"
        print(one_line(failed), file=sys.stderr)
    return 1 if state.failed else 0


def _batch(
    names: list[str], out: str | None, options: dict[str, Any], *, recursive: bool, retries: int
) -> Batch:
    """The one folder, or file, that is meant; `UsageError` for anything else."""
    from fourfold.cluster.worker import Batch
    from fourfold.files.addresses import open_store
    from fourfold.jobs.request import Request

    if len(names) != 1 or names[0] == "-":
        raise UsageError(f"upscale: want one folder or file with an address, got {len(names)}")
    if out in (None, "-"):
        raise UsageError("upscale: want -o FOLDER, where the results and the manifest go")
    source, only = names[0], None
    folder, _, name = source.rstrip("/").rpartition("/")
    if folder and not folder.endswith(":/") and open_store(folder).stat(name) is not None:
        source, only = folder, name
    elif scheme(source) is None and Path(source).is_file():
        source, only = str(Path(source).parent), Path(source).name
    request = Request(source="-", **options)
    if only is not None:
        request.model_copy(update={"source": only}).refuse_useless()
    return Batch(
        source=source,
        target=str(out),
        request=request,
        only=only,
        recursive=recursive,
        retries=retries,
    )


class _Show(OneBar):
    """One bar on stderr when that is a terminal; a line for each input on stdout."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json
        self.reasons: list[str] = []
        self.models = Counter[str]()

    def __call__(self, state: State) -> None:
        """Called with reports of `run_batch`."""
        line = state.line
        if line is not None:
            if self._as_json:
                print(line.text(), flush=True)
            elif line.output is not None:
                print(one_line(f"{line.output}  {line.seconds:.1f} s"), flush=True)
            self.models[line.model] += line.outcome == "done" and bool(line.model)
            if line.outcome == "failed" and len(self.reasons) < _NAMED:
                self.reasons.append(line.reason or line.key)
        over = state.done + state.failed
        left = clock((state.todo - over) / state.rate) if state.rate else "unknown time"
        failed = f"  {state.failed} failed" if state.failed else ""
        workers = f"{state.workers} worker" + ("s" if state.workers != 1 else "")
        self.bar.update(
            self._task,
            description=f"{over}/{state.todo} inputs",
            completed=over,
            total=state.todo,
            state=f"{state.rate:.2f}/s  {left} left  {workers}{failed}",
        )


def _summary(state: State) -> str:
    kept = f", {state.kept} were there" if state.kept else ""
    rate = f" in {clock(state.seconds)} ({state.rate:.2f}/s)" if state.seconds else ""
    return f"fourfold: {state.done} done{rate}, {state.failed} failed{kept}"


def _tell(estimate: Estimate, *, as_json: bool) -> None:
    counts = estimate.counts
    if as_json:
        said = {
            "inputs": counts.inputs,
            "bytes": counts.size,
            "todo": counts.todo,
            "todo_bytes": counts.todo_size,
            "sampled": estimate.sampled,
            "workers": estimate.workers,
            "hours": estimate.hours,
            "machine_hours": estimate.machine_hours,
        }
        print(json_line(said))
        return
    print(f"{counts.todo} of {counts.inputs} inputs to do, {counts.todo_size / 1e6:.1f} MB")
    if estimate.hours is None or estimate.machine_hours is None:
        print("no time can be told: none of those tried could be enlarged, or nothing is left")
        return
    print(
        f"about {estimate.hours:.3g} hours with {estimate.workers} workers like this machine: "
        f"{estimate.machine_hours:.3g} machine-hours (from {estimate.sampled} enlarged here)"
    )


@contextmanager
def terminable() -> Iterator[None]:
    """SIGTERM ends the work as Ctrl-C does, with nothing left behind."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


__all__ = ["is_for_many", "terminable", "upscale_many"]
