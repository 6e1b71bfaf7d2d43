"""Finding pairs in the known layouts, and decoding them once."""

from __future__ import annotations

import numpy as np
import pytest

from fourfold.datasets import find_sources, open_pairs
from fourfold.errors import DataError
from fourfold.imaging.resize import imresize
from fourfold.pictures.images import read_pixels, write_pixels


def picture(rng, height=32, width=40, channels=3):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return rng.integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize(
    ("hr", "lr", "given"),
    [
        ("HR/a.png", "LR_bicubic/X4/ax4.png", "."),
        ("HR/a.png", "LR/X4/a.png", "."),
        ("GTmod12/a.png", "LRbicx4/a.png", "."),
        ("X4/GT/a.png", "X4/LR/a.png", "."),
        ("DIV2K_train_HR/a.png", "DIV2K_train_LR_bicubic/X4/ax4.png", "."),
        ("DIV2K_train_HR/a.png", "DIV2K_train_LR_bicubic/X4/ax4.png", "DIV2K_train_HR"),
        ("a.png", None, "."),
        ("HR/a.png", None, "."),
    ],
)
def test_layouts(tmp_path, rng, hr, lr, given):
    write_pixels(picture(rng), tmp_path / hr)
    if lr is not None:
        write_pixels(picture(rng, 8, 10), tmp_path / lr)
    (source,) = find_sources(tmp_path / given, scale=4)
    assert source.name == "a"
    assert source.hr == tmp_path / hr
    assert source.lr == (tmp_path / lr if lr else None)


def test_roles_of_a_div2k_folder(tmp_path, rng):
    for role, name in (("train", "0001"), ("valid", "0801")):
        write_pixels(picture(rng), tmp_path / f"DIV2K_{role}_HR" / f"{name}.png")
        low = tmp_path / f"DIV2K_{role}_LR_x8" / f"{name}x8.png"
        write_pixels(picture(rng, 4, 5), low)
    (source,) = find_sources(tmp_path, scale=8, role="valid")
    assert (source.name, source.lr.name) == ("0801", "0801x8.png")


def test_a_missing_partner_is_named(tmp_path, rng):
    write_pixels(picture(rng), tmp_path / "HR" / "a.png")
    write_pixels(picture(rng), tmp_path / "HR" / "b.png")
    write_pixels(picture(rng, 8, 10), tmp_path / "LR" / "X4" / "a.png")
    with pytest.raises(DataError, match=r"b\.png: no low-resolution partner; want bx4\.png"):
        find_sources(tmp_path, scale=4)


def test_cache_returns_the_pictures_cropped_to_the_scale(tmp_path, rng):
    original = picture(rng, 33, 42)
    write_pixels(original, tmp_path / "in" / "a.png")
    pairs = open_pairs(find_sources(tmp_path / "in", scale=4), scale=4, cache=tmp_path / "cache")
    assert np.array_equal(pairs.hr(0), original[:32, :40])
    assert np.array_equal(pairs.lr(0), imresize(original[:32, :40], 1 / 4))


@pytest.mark.parametrize("channels", [1, 2, 4])
def test_grey_and_alpha_become_rgb(tmp_path, rng, channels):
    write_pixels(picture(rng, channels=channels), tmp_path / "in" / "a.png")
    pairs = open_pairs(find_sources(tmp_path / "in", scale=2), scale=2, cache=tmp_path / "cache")
    assert pairs.hr(0).shape == (32, 40, 3)


def test_cache_is_used_again_until_a_picture_changes(tmp_path, rng):
    path = tmp_path / "in" / "a.png"
    write_pixels(picture(rng), path)

    def opened():
        done = []
        sources = find_sources(tmp_path / "in", scale=4)
        pairs = open_pairs(
            sources, scale=4, cache=tmp_path / "cache", progress=lambda n, of: done.append((n, of))
        )
        return done, pairs

    assert opened()[0] == [(1, 1)]
    assert opened()[0] == []
    write_pixels(picture(rng, 32, 44), path)
    done, pairs = opened()
    assert done == [(1, 1)]
    assert np.array_equal(pairs.hr(0), read_pixels(path))


def test_a_failed_build_leaves_nothing(tmp_path, rng):
    write_pixels(picture(rng), tmp_path / "in" / "a.png")
    (tmp_path / "in" / "b.png").write_bytes(b"not a picture")
    with pytest.raises(DataError, match=r"b\.png"):
        open_pairs(find_sources(tmp_path / "in", scale=4), scale=4, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
