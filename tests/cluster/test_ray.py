"""A pool of actors: who gets what, who dies, who is to blame. Ray itself is played by a fake."""

from __future__ import annotations

import itertools
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from fourfold.cluster import ray as module
from fourfold.cluster.manifest import Line
from fourfold.cluster.ray import RayPool
from fourfold.cluster.run import THREADS, Workers
from fourfold.cluster.table import Row, Task
from fourfold.cluster.worker import Batch
from fourfold.errors import BackendError, MissingExtra, UsageError
from fourfold.jobs.stages import Cancelled


class Died(Exception):
    pass


class Raised(Exception):
    def __init__(self, cause: BaseException) -> None:
        super().__init__(f"a traceback\nof {cause}")
        self.cause = cause


class Actor:
    def __init__(self, ray: Ray) -> None:
        self.dead, self.at = False, set[str]()
        self.ready = SimpleNamespace(remote=lambda: Ref(next(ray.count), self))
        self.do = SimpleNamespace(remote=lambda task: ray.asked(self, task))


@dataclass(eq=False)
class Ref:
    number: int
    actor: Actor
    task: Task | None = None


class Ray:
    """Answers in the order of the questions; an actor dies when it comes to a deadly task."""

    exceptions = SimpleNamespace(RayError=Died, RayTaskError=Raised)

    def __init__(self, *, cores: int = 8, deadly: tuple[str, ...] = (), stillborn: bool = False):
        self.cores, self.deadly, self.stillborn = cores, deadly, stillborn
        self.actors: list[Any] = []
        self.started: dict[str, Any] = {}
        self.ended = False
        self.raises: BaseException | None = None
        self.company: dict[str, set[str]] = {}
        self.parts, self.broken = 3, set[str]()
        self.steps: list[tuple[str, Any]] = []
        self.slow_start = self.crowd = 0
        self.count = itertools.count()

    def is_initialized(self) -> bool:
        return False

    def init(self, **options: Any) -> None:
        self.started = options
        if self.slow_start:
            self.slow_start -= 1
            raise Exception("The current node timed out during startup.")

    def shutdown(self) -> None:
        self.ended = True

    def cluster_resources(self) -> dict[str, float]:
        return {"CPU": self.cores}

    def remote(self, _class: type) -> Any:
        def start(*_: Any) -> Any:
            actor = Actor(self)
            self.actors.append(actor)
            return actor

        def options(**given: Any) -> Any:
            self.options = given
            return SimpleNamespace(remote=start)

        return SimpleNamespace(options=options)

    def asked(self, actor: Actor, task: Task) -> Ref:
        actor.at.add(task.rows[0].key)
        self.crowd = max(self.crowd, len(actor.at))
        for key in actor.at:
            self.company.setdefault(key, set()).update(actor.at - {key})
        return Ref(next(self.count), actor, task)

    def wait(self, refs: list[Any], *, num_returns: int, timeout: float) -> Any:
        refs.sort(key=lambda ref: (not ref.actor.dead, ref.number))
        return refs[:num_returns], refs[num_returns:]

    def get(self, ref: Any) -> Any:
        actor, task = ref.actor, ref.task
        if task is None:
            if self.stillborn:
                raise Died("no such model")
            return 1
        key = task.rows[0].key
        if key in self.deadly or actor.dead:
            actor.dead = True
            raise Died("killed")
        if self.raises is not None:
            raise Raised(self.raises)
        actor.at.discard(key)
        if task.step is not None:
            self.steps.append((key, task.step))
        if key in self.broken and isinstance(task.step, int):
            fields = {"size": 1, "etag": "", "settings": "", "model": "", "outcome": "failed"}
            return [Line(key=key, **fields)]  # type: ignore[arg-type]
        if isinstance(task.step, int) or task.step == "split":
            return self.parts
        fields = {"size": 1, "etag": "", "settings": "", "model": "", "outcome": "done"}
        return [Line(key=key, **fields)]  # type: ignore[arg-type]

    def kill(self, actor: Any) -> None:
        actor.dead = True


def task(key: str, size: int = 100) -> Task:
    return Task((Row(key=key, size=size, tag="", modified=None),))


def tasks(*keys: str) -> Iterator[Task]:
    return iter([task(key) for key in keys])


@pytest.fixture
def pool(monkeypatch: pytest.MonkeyPatch, batch: Callable[..., Batch]) -> Callable[..., RayPool]:
    def made(ray: Ray, *, least: int = 1, most: int | None = 2, retries: int = 2) -> RayPool:
        monkeypatch.setattr(module, "_load_ray", lambda: ray)
        return RayPool(
            batch(retries=retries),
            {"still": "s", "film": "f"},
            unrecorded=False,
            workers=Workers(engine="ray", least=least, most=most),
            stop=threading.Event(),
        )

    return made


def outcomes(pool: RayPool, given: Iterator[Task]) -> dict[str, str]:
    lines = [line for some in pool.outcomes(given) for line in some]
    assert len({line.key for line in lines}) == len(lines)
    return {line.key: line.outcome for line in lines}


def test_everything_is_done_once(pool: Any) -> None:
    ray = Ray()
    keys = [f"{number}.png" for number in range(50)]
    workers = pool(ray)
    assert outcomes(workers, tasks(*keys)) == dict.fromkeys(keys, "done")
    assert len(ray.actors) == 2
    assert ray.crowd == THREADS + 1
    workers.close()
    assert ray.ended
    assert all(actor.dead for actor in ray.actors)


def test_cores_are_shared_out(pool: Any) -> None:
    ray = Ray(cores=8)
    pool(ray, most=2)
    assert ray.options["num_cpus"] == 4
    assert ray.options["memory"] == 10**9
    pool(ray, most=None)
    assert ray.options["num_cpus"] == 4
    pool(Ray(cores=2), most=3)


def test_a_task_that_kills_is_given_up_and_no_other_is_blamed(pool: Any) -> None:
    ray = Ray(deadly=("3.png",))
    keys = [f"{number}.png" for number in range(12)]
    workers = pool(ray, retries=2)
    made = outcomes(workers, tasks(*keys))
    assert made == {**dict.fromkeys(keys, "done"), "3.png": "failed"}
    # Once in company, then three times by itself; each of the dead has been replaced.
    assert sum(actor.dead for actor in ray.actors) == 4
    assert len(ray.actors) == 6 - (workers.workers < 2)


def test_a_dead_worker_alone_is_blamed_on_its_task_only_after_all_tries(pool: Any) -> None:
    ray = Ray(deadly=("a.png",))
    (lines,) = list(pool(ray, most=1, retries=0).outcomes(tasks("a.png")))
    assert lines[0].outcome == "failed"
    assert "1 workers died" in str(lines[0].reason)


def test_large_pictures_and_films_have_their_worker_to_themselves(pool: Any) -> None:
    ray = Ray()
    given = [
        task("a.png"),
        task("large.tif", 60_000_000),
        task("b.png"),
        task("film.mp4"),
        task("c.png"),
    ]
    made = outcomes(pool(ray, most=1), iter(given))
    assert set(made.values()) == {"done"}
    assert ray.company["large.tif"] == ray.company["film.mp4"] == set()


def test_workers_that_never_start_are_an_error(pool: Any) -> None:
    with pytest.raises(BackendError, match="do not start: no such model"):
        list(pool(Ray(stillborn=True)).outcomes(tasks("a.png")))


def test_what_a_worker_finds_wrong_with_the_call_is_raised(pool: Any) -> None:
    ray = Ray()
    ray.raises = UsageError("--precision: want another")
    with pytest.raises(UsageError, match="want another"):
        list(pool(ray).outcomes(tasks("a.png")))
    ray.raises = ZeroDivisionError("odd")
    with pytest.raises(BackendError, match="odd"):
        list(pool(ray).outcomes(tasks("a.png")))


def test_it_stops(pool: Any) -> None:
    workers = pool(Ray())
    following = workers.outcomes(tasks(*(f"{number}.png" for number in range(9))))
    next(following)
    workers._stop.set()
    with pytest.raises(Cancelled):
        list(following)


def test_a_cluster_of_this_machine_is_small_and_tells_nobody(pool: Any) -> None:
    ray = Ray()
    pool(ray)
    assert ray.started["address"] == "local"
    assert ray.started["include_dashboard"] is False


def test_a_cluster_that_starts_slowly_is_tried_again(pool: Any) -> None:
    ray = Ray()
    ray.slow_start = 4
    pool(ray)
    ray.slow_start = 5
    with pytest.raises(BackendError, match="timed out"):
        pool(ray)


def test_segments_of_a_film_are_tasks_and_joined_by_one(pool: Any) -> None:
    ray = Ray()
    keys = ["a.png", "film.mp4", "b.png", "other.mkv"]
    assert outcomes(pool(ray), tasks(*keys)) == dict.fromkeys(keys, "done")
    for film in ("film.mp4", "other.mkv"):
        steps = [step for key, step in ray.steps if key == film]
        assert (steps[0], sorted(steps[1:4]), steps[4:]) == ("split", [0, 1, 2], ["join"])


def test_a_film_of_one_part_and_one_worker_are_not_split(pool: Any) -> None:
    ray = Ray()
    ray.parts = 1
    assert outcomes(pool(ray), tasks("film.mp4")) == {"film.mp4": "done"}
    assert ray.steps == [("film.mp4", "split")]
    ray = Ray()
    assert outcomes(pool(ray, most=1), tasks("film.mp4")) == {"film.mp4": "done"}
    assert ray.steps == []


def test_a_film_fails_once(pool: Any) -> None:
    ray = Ray()
    ray.broken.add("film.mp4")
    made = outcomes(pool(ray), tasks("film.mp4", "a.png", "b.png"))
    assert made == {"film.mp4": "failed", "a.png": "done", "b.png": "done"}
    assert ("film.mp4", "join") not in ray.steps


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtra, match=r"--engine ray.*\[cluster\]"):
        module._load_ray()
