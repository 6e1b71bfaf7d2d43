"""Degraded windows, each made once and used several times.

The chain of `degrade_real` takes a hundred times as long as cutting a crop. So a window is
degraded once for `uses` samples, which shift, mirror and turn it differently and lie hundreds of
samples apart. Which window sample number n takes follows from n alone.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

BLOCK: Final = 64
"""Windows that are new together. Processes that divide it see all uses of their own windows."""


class Window(NamedTuple):
    """A degraded part of a picture; places are in low-resolution pixels."""

    picture: int
    top: int
    left: int
    lr: npt.NDArray[np.uint8]
    """uint8 `(rows, columns, 3)`."""
    rows: tuple[int, int]
    """First and last row of the window that a crop may begin with."""
    columns: tuple[int, int]


def window_of_sample(number: int, *, uses: int) -> int:
    """The window that sample `number` takes; those of the first blocks are negative.

    Of each `uses` blocks of samples the first is of new windows, the second of those new one round
    before, and so on.

    >>> [window_of_sample(n, uses=2) for n in (0, 63, 64, 128, 192)]
    [0, 63, -64, 64, 0]
    """
    turn, place = divmod(number, BLOCK * uses)
    use, offset = divmod(place, BLOCK)
    return (turn - use) * BLOCK + offset


@dataclass
class WindowStore:
    """The newest windows, in memory: at most those that will be met again."""

    uses: int
    _windows: OrderedDict[int, Future[Window]] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, number: int, make: Callable[[int], Window]) -> Window:
        """Window `number`; the first thread that asks makes it, others wait for it."""
        with self._lock:
            found = self._windows.get(number)
            mine: Future[Window] = Future()
            if found is None:
                self._windows[number] = mine
            self._windows.move_to_end(number)
            while len(self._windows) > BLOCK * (self.uses + 1):
                self._windows.popitem(last=False)
        if found is not None:
            return found.result()
        try:
            mine.set_result(make(number))
        except BaseException as error:
            mine.set_exception(error)
            raise
        return mine.result()


__all__ = ["BLOCK", "Window", "WindowStore", "window_of_sample"]
