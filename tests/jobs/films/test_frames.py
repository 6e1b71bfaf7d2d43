"""Frames come back in order whichever is done first, equal ones are computed once."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from fourfold.films.decode import Frame
from fourfold.jobs.films.frames import enlarge_frames
from fourfold.jobs.stages import Cancelled


class Uneven:
    """Every second frame takes longer; counts those it works on at once."""

    def __init__(self, lanes: int) -> None:
        self.lanes, self.now, self.most, self.seen = lanes, 0, 0, []
        self._lock = threading.Lock()

    def for_frames(self, _height: int, _width: int) -> Uneven:
        return self

    def upscale(self, pixels: np.ndarray) -> np.ndarray:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.seen.append(int(pixels[0, 0, 0]))
        time.sleep(0.02 * (pixels[0, 0, 0] % 2))
        with self._lock:
            self.now -= 1
        return pixels + 100


def frames(*values: int) -> list[Frame]:
    return [Frame(np.full((2, 2, 3), value, np.uint8), i, 1) for i, value in enumerate(values)]


@pytest.mark.parametrize("lanes", [1, 2, 4])
def test_order_stays(lanes: int) -> None:
    engine = Uneven(lanes)
    made = list(enlarge_frames(frames(*range(9)), engine))
    assert [one.frame.pts for one in made] == list(range(9))
    assert [one.pixels[0, 0, 0] for one in made] == list(range(100, 109))
    assert engine.most <= lanes


@pytest.mark.parametrize("lanes", [1, 3])
def test_equal_frames_are_computed_once(lanes: int) -> None:
    engine = Uneven(lanes)
    made = list(enlarge_frames(frames(1, 1, 2, 2, 2, 1), engine))
    assert [one.repeated for one in made] == [False, True, False, True, True, False]
    assert [one.pixels[0, 0, 0] for one in made] == [101, 101, 102, 102, 102, 101]
    assert sorted(engine.seen) == [1, 1, 2]


def test_what_a_frame_fails_with_is_raised() -> None:
    engine = Uneven(2)
    engine.upscale = lambda _: 1 / 0
    with pytest.raises(ZeroDivisionError):
        list(enlarge_frames(frames(1, 2, 3), engine))


def test_stopping_does_not_wait_for_the_frame_under_way() -> None:
    engine, go_on = Uneven(2), threading.Event()
    engine.upscale = lambda pixels: go_on.wait(30) and pixels
    try:
        with pytest.raises(Cancelled):
            list(enlarge_frames(frames(1, 2, 3), engine, cancelled=lambda: True))
    finally:
        go_on.set()


def test_no_frames_are_no_work() -> None:
    assert list(enlarge_frames([], Uneven(2))) == []
