"""Encoding leaves the rest of the machine its turn."""

from __future__ import annotations

import os
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from fourfold.films.encode import CODECS, Encoding, SegmentEncoder, to_frame
from fourfold.films.packets import Stamp
from fourfold.films.probe import Colour

pytest.importorskip("av")


@pytest.mark.skipif(sys.platform != "linux", reason="real-time classes are Linux's")
@pytest.mark.parametrize("codec", CODECS)
def test_no_thread_stays_in_a_real_time_class(codec: str) -> None:
    encoding = Encoding(
        codec=codec,
        crf=None,
        preset=None,
        width=64,
        height=64,
        time_base=Fraction(1, 25),
        rate=Fraction(25),
        pixel_aspect=Fraction(1),
        depth=8,
        colour=Colour(matrix=1, primaries=1, transfer=1, full_range=False),
    )
    encoder = SegmentEncoder(encoding)
    frame = to_frame(np.zeros((64, 64, 3), np.uint8), encoding)
    encoder.add(frame, Stamp(pts=0, duration=1))
    threads = [int(thread.name) for thread in Path("/proc/self/task").iterdir()]
    classes = {os.sched_getscheduler(thread) for thread in threads}
    assert classes == {os.SCHED_OTHER}
    encoder.finish()
