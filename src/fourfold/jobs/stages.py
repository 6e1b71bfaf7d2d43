"""Threads that pass work on through short queues, and that all end when one of them fails."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from queue import Empty, Full, Queue
from typing import Final, Generic, TypeVar

from fourfold.errors import FourfoldError

_WAIT: Final = 0.1
"""Seconds after which a waiting thread looks whether to stop."""

T = TypeVar("T")


class Cancelled(FourfoldError):
    """The caller asked to stop; what is finished is kept and the same call goes on."""

    exit_code = 130


class Stop(threading.Event):
    """Set by itself or by the event of somebody else, which it never sets."""

    def __init__(self, other: threading.Event | None = None) -> None:
        super().__init__()
        self._other = other

    def is_set(self) -> bool:
        """Whether to stop."""
        return super().is_set() or (self._other is not None and self._other.is_set())


def call_until(call: Callable[[], T], stopped: Callable[[], bool] | None) -> T:
    """The result of `call`; `InterruptedError` at once when `stopped` says so meanwhile.

    A network cannot be interrupted in the middle of a tile, which takes seconds: its thread is left
    to itself then and ends with the tile. It is no daemon, which would not outlive the interpreter.
    """
    if stopped is None:
        return call()
    results: list[T] = []
    failures: list[BaseException] = []

    def work() -> None:
        try:
            results.append(call())
        except BaseException as error:  # raised below, in the caller's thread
            failures.append(error)

    thread = threading.Thread(target=work, name="fourfold-network")
    thread.start()
    while thread.is_alive():
        thread.join(_WAIT)
        if thread.is_alive() and stopped():
            raise InterruptedError
    if failures:
        raise failures[0]
    return results[0]


class Channel(Generic[T]):
    """A queue of at most `size` items (0: any number) that ends, and lets go when work stops."""

    def __init__(self, size: int, stop: threading.Event) -> None:
        self._queue: Queue[T | None] = Queue(size)
        self._stop = stop

    @property
    def stopped(self) -> bool:
        """Whether the work has been broken off; the channel then ends before its end."""
        return self._stop.is_set()

    def put(self, item: T) -> bool:
        """False when the work has been stopped."""
        return self._put(item)

    def end(self) -> bool:
        """Say that nothing follows."""
        return self._put(None)

    def _put(self, item: T | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_WAIT)
                return True
            except Full:
                continue
        return False

    def __iter__(self) -> Iterator[T]:
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=_WAIT)
            except Empty:
                continue
            if item is None:
                return
            yield item

    def waiting(self) -> Iterator[T]:
        """What is in it right now, without waiting for more."""
        while True:
            try:
                item = self._queue.get_nowait()
            except Empty:
                return
            if item is not None:
                yield item


class Crew:
    """Threads whose first failure stops all and is raised by `join`."""

    def __init__(self, stop: threading.Event | None = None) -> None:
        self.stop = Stop(stop)
        self._failure: BaseException | None = None
        self._threads: list[threading.Thread] = []

    def start(self, work: Callable[[], None], name: str) -> None:
        """Run `work` in a thread."""

        def guarded() -> None:
            try:
                work()
            except BaseException as error:  # handed to the caller's thread
                self._failure = self._failure or error
                self.stop.set()

        thread = threading.Thread(target=guarded, name=f"fourfold-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def wait(self) -> None:
        """Wait for all threads."""
        for thread in self._threads:
            thread.join()

    def join(self) -> None:
        """Wait for all threads; raises what the first to fail failed with."""
        self.wait()
        if self._failure is not None:
            raise self._failure


__all__ = ["Cancelled", "Channel", "Crew", "Stop", "call_until"]
