"""The bar moves with the tiles of a picture, and guesses at pictures to come from those so far."""

from __future__ import annotations

from fourfold.cli.watch import Watch
from fourfold.jobs.outcome import Progress


def shown(watch: Watch) -> tuple[float, float | None]:
    (task,) = watch.bar.tasks
    return task.completed, task.total


def report(watch: Watch, name: str, done: int, total: int) -> None:
    watch(
        Progress(
            input=name, stage="upscaling", done=done, total=total, seconds=1, seconds_left=None
        )
    )


def test_it_moves_within_one_picture() -> None:
    watch = Watch(1)
    seen = []
    for done in (40, 80, 100):
        report(watch, "a", done, 100)
        seen.append(shown(watch))
    assert seen == [(40, 100), (80, 100), (100, 100)]


def test_pictures_to_come_are_taken_to_be_like_those_so_far() -> None:
    watch = Watch(4)
    watch.finished(skipped=True)
    report(watch, "a", 50, 100)
    assert shown(watch) == (50, 300)
    report(watch, "b", 0, 200)
    assert shown(watch) == (50, 450)
