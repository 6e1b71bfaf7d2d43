"""The bar moves with the tiles of a picture, and guesses at pictures to come from those so far."""

from __future__ import annotations

from fourfold.cli.watch import Watch


def shown(watch: Watch) -> tuple[float, float | None]:
    (task,) = watch.progress.tasks
    return task.completed, task.total


def test_it_moves_within_one_picture() -> None:
    watch = Watch(1)
    watch.planned(100)
    seen = []
    for tile in (40, 40, 20):
        watch.enlarged(tile)
        seen.append(shown(watch))
    assert seen == [(40, 100), (80, 100), (100, 100)]


def test_pictures_to_come_are_taken_to_be_like_those_so_far() -> None:
    watch = Watch(4)
    watch.finished(skipped=True)
    watch.planned(100)
    watch.enlarged(50)
    assert shown(watch) == (50, 300)
    watch.planned(200)
    assert shown(watch) == (50, 450)
