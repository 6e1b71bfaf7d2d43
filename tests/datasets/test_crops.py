"""Crops are aligned, and every choice follows from seed and number."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from fourfold.datasets import CropSettings, CropStream, crops, find_sources, open_pairs
from fourfold.datasets.window_store import BLOCK, window_of_sample
from fourfold.pictures.images import write_pixels

SCALE, SIZE = 4, 32


@pytest.fixture
def pairs(tmp_path, rng):
    """Pictures whose low resolution is every fourth pixel, so that alignment can be seen."""
    for name in "abc":
        low = rng.integers(0, 256, (20, 26, 3), dtype=np.uint8)
        write_pixels(np.kron(low, np.ones((4, 4, 1), np.uint8)), tmp_path / "HR" / f"{name}.png")
        write_pixels(low, tmp_path / "LR" / "X4" / f"{name}.png")
    return open_pairs(find_sources(tmp_path, scale=4), scale=4, cache=tmp_path / "cache")


def stream(pairs, seed=0, **changes):
    return CropStream(pairs, CropSettings(size=SIZE, **changes), seed)


def test_crops_of_both_resolutions_show_the_same_place(pairs):
    for number in range(40):
        lr, hr = stream(pairs).sample(number)
        assert lr.shape == (SIZE // SCALE, SIZE // SCALE, 3)
        assert np.array_equal(hr, np.kron(lr, np.ones((SCALE, SCALE, 1), np.uint8)))


def test_an_epoch_visits_each_picture_once(pairs, monkeypatch):
    seen = []
    real = type(pairs).hr
    monkeypatch.setattr(type(pairs), "hr", lambda self, i: (seen.append(i), real(self, i))[1])
    for number in range(6):
        stream(pairs).sample(number)
    assert sorted(seen[:3]) == sorted(seen[3:]) == [0, 1, 2]


@pytest.mark.parametrize("degradation", ["bicubic", "jpeg", "real"])
def test_the_same_number_is_the_same_crop(pairs, degradation):
    first = stream(pairs, degradation=degradation).sample(7)
    second = stream(pairs, degradation=degradation).sample(7)
    other = stream(pairs, degradation=degradation, seed=1).sample(7)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))
    assert not np.array_equal(first[1], other[1])


def test_threads_change_nothing(pairs):
    def take(workers):
        batches = stream(pairs).batches(0, size=3, workers=workers)
        found = [next(batches) for _ in range(5)]
        batches.close()
        return found

    for one, four in zip(take(1), take(4), strict=True):
        assert np.array_equal(one.lr, four.lr)
        assert np.array_equal(one.hr, four.hr)


def test_a_run_goes_on_at_any_sample(pairs):
    batches = stream(pairs).batches(0, size=2, workers=1)
    straight = [next(batches) for _ in range(4)]
    batches.close()
    later = stream(pairs).batches(4, size=2, workers=1)
    assert np.array_equal(next(later).hr, straight[2].hr)
    later.close()


def test_processes_share_a_batch(pairs):
    whole = stream(pairs).batch(8, size=4)
    shares = [stream(pairs).batch(8, size=4, rank=rank, processes=2) for rank in (0, 1)]
    assert np.array_equal(whole.hr[::2], shares[0].hr)
    assert np.array_equal(whole.lr[1::2], shares[1].lr)


def test_augmentation_can_be_left_out(pairs):
    settings = {"flips": False, "turns": False}
    lr, _ = stream(pairs, **settings).sample(0)
    found = any(
        np.array_equal(pairs.lr(i)[r : r + 8, c : c + 8], lr)
        for i in range(3)
        for r in range(13)
        for c in range(19)
    )
    assert found


def test_jpeg_noise_touches_only_the_low_resolution(pairs):
    clean = [stream(pairs).sample(n) for n in range(4)]
    noisy = [stream(pairs, degradation="jpeg", jpeg_probability=1.0).sample(n) for n in range(4)]
    for (lr, hr), (noisy_lr, noisy_hr) in zip(clean, noisy, strict=True):
        assert np.array_equal(hr, noisy_hr)
        assert not np.array_equal(lr, noisy_lr)


@pytest.fixture
def photo(tmp_path, rng):
    """One larger picture, so that windows have margins on all sides."""
    coarse = rng.integers(0, 256, (40, 40, 3), dtype=np.uint8)
    write_pixels(np.kron(coarse, np.ones((8, 8, 1), np.uint8)), tmp_path / "one" / "p.png")
    return open_pairs(find_sources(tmp_path / "one", scale=4), scale=4, cache=tmp_path / "cache")


def counted(monkeypatch):
    """What the degradation was asked for; the result is the plain low resolution."""
    made = []

    def every_fourth(part, *, scale, rng):
        made.append(rng.integers(2**60))
        return part[::scale, ::scale]

    monkeypatch.setattr(crops, "degrade_real", every_fourth)
    return made


@pytest.mark.parametrize("processes", [1, 2, 4])
def test_a_degraded_window_is_made_once_and_used_often(photo, monkeypatch, processes):
    made = counted(monkeypatch)
    one = stream(photo, degradation="real", reuse=4)
    blocks = 12
    for start in range(0, blocks * BLOCK, 16):
        one.batch(start, size=16, processes=processes)
    # New in each round of four blocks: one block, and at the start three that came before.
    assert len(made) == len(set(made)) == (blocks // 4 + 3) * BLOCK // processes


def test_windows_are_used_as_often_as_asked_and_far_apart():
    for uses in (1, 3, 4):
        met = [window_of_sample(n, uses=uses) for n in range(40 * BLOCK * uses)]
        inner = range(10 * BLOCK, 20 * BLOCK)
        assert {met.count(w) for w in inner[::16]} == {uses}
        places = [n for n, w in enumerate(met) if w == inner[0]]
        assert all(b - a > BLOCK for a, b in pairwise(places))


def test_uses_of_a_window_differ_and_stay_aligned(photo, monkeypatch):
    counted(monkeypatch)
    settings = {"degradation": "real", "reuse": 8, "flips": False, "turns": False}
    one = stream(photo, **settings)
    found = [one.sample(n) for n in range(64 * 8 * 8) if window_of_sample(n, uses=8) == 5]
    assert len(found) == 8
    assert len({lr.tobytes() for lr, _ in found}) > 4
    for lr, hr in found:
        assert np.array_equal(lr, hr[::4, ::4])


def test_windows_are_forgotten_in_time(photo, monkeypatch):
    counted(monkeypatch)
    one = stream(photo, degradation="real", reuse=2)
    for number in range(20 * BLOCK):
        one.sample(number)
    assert len(one._windows._windows) <= 3 * BLOCK


def test_a_run_of_shared_windows_goes_on_at_any_sample(photo):
    one = stream(photo, degradation="real", reuse=2)
    straight = [one.sample(n) for n in range(BLOCK - 2, BLOCK + 6)]
    later = stream(photo, degradation="real", reuse=2)
    for number in reversed(range(BLOCK + 2, BLOCK + 6)):
        lr, hr = later.sample(number)
        assert np.array_equal(lr, straight[number - BLOCK + 2][0])
        assert np.array_equal(hr, straight[number - BLOCK + 2][1])


def test_a_failed_window_fails_for_all_who_wait(photo, monkeypatch):
    def fail(*_, **__):
        raise MemoryError

    monkeypatch.setattr(crops, "degrade_real", fail)
    batches = stream(photo, degradation="real").batches(0, size=4, workers=4)
    with pytest.raises(MemoryError):
        next(batches)
