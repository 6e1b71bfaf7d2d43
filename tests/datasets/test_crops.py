"""Crops are aligned, and every choice follows from seed and number."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold.datasets import CropSettings, CropStream, find_sources, open_pairs
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
