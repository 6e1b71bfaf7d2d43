"""Finding pairs in the known layouts, and decoding them once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fourfold.datasets import find_sources, open_pairs
from fourfold.errors import DataError
from fourfold.evaluation import open_dataset
from fourfold.evaluation.datasets import load_pair
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
    _truncated(tmp_path / "in" / "b.png", rng)
    with pytest.raises(DataError, match=r"b\.png"):
        open_pairs(find_sources(tmp_path / "in", scale=4), scale=4, cache=tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def _truncated(path, rng):
    """A picture whose header is whole and whose pixels are not."""
    write_pixels(picture(rng, 200, 200), path)
    path.write_bytes(path.read_bytes()[:60_000])


def test_bad_pictures_are_left_out_where_asked(tmp_path, rng):
    folder = tmp_path / "in"
    for name, side in (("a", 32), ("b", 32), ("small", 8)):
        write_pixels(picture(rng, side, side), folder / f"{name}.png")
    _truncated(folder / "cut.png", rng)
    (folder / "note.png").write_text("buy milk")
    sources = find_sources(folder, scale=4)
    for _ in range(2):  # the second time from the cache
        pairs = open_pairs(sources, scale=4, min_side=16, skip_bad=True, cache=tmp_path / "cache")
        assert len(pairs) == 2
        assert [Path(text.split(":")[0]).name for text in pairs.skipped] == [
            "note.png",
            "cut.png",
            "small.png",
        ]
    with pytest.raises(DataError, match=r"note\.png: not a readable picture .*3 of 5.*skip"):
        open_pairs(sources, scale=4, min_side=16, cache=tmp_path / "cache")


def test_nothing_left_is_an_error(tmp_path, rng):
    write_pixels(picture(rng, 8, 8), tmp_path / "in" / "a.png")
    with pytest.raises(DataError, match=r"a\.png: 8x8 pixels, want at least 96x96"):
        open_pairs(
            find_sources(tmp_path / "in", scale=4),
            scale=4,
            min_side=96,
            skip_bad=True,
            cache=tmp_path / "cache",
        )


@pytest.mark.parametrize("suffix", [".bmp", ".ppm", ".tga", ".heic", ".qoi", ".jp2", ".avif"])
def test_what_is_found_can_be_read(tmp_path, rng, suffix):
    if suffix == ".heic":
        pi_heif = pytest.importorskip("pillow_heif", reason="nothing here writes HEIC")
        pi_heif.register_heif_opener()
    smooth = np.kron(picture(rng, 4, 5), np.ones((8, 8, 1), np.uint8))
    (tmp_path / "in").mkdir()
    Image.fromarray(smooth).save(tmp_path / "in" / f"a{suffix}")
    pairs = open_pairs(find_sources(tmp_path / "in", scale=4), scale=4, cache=tmp_path / "cache")
    assert pairs.hr(0).shape == (32, 40, 3)
    if suffix not in (".jp2", ".avif", ".heic"):
        assert np.array_equal(pairs.hr(0), smooth)
    lr, hr = load_pair(open_dataset(tmp_path / "in", scale=4).pairs[0], scale=4)
    assert np.array_equal(hr, pairs.hr(0))
    assert np.array_equal(lr, pairs.lr(0))


@pytest.mark.parametrize(
    ("hr", "lr"),
    [
        ("HR/a.png", "LR_bicubic/X4/ax4.png"),
        ("hr/deep/a.png", "lr_BICUBIC/x4/deep/aX4.PNG"),
        ("HR/a.png", "LR_x4/a_x4.bmp"),
        ("GT/a.png", "LR/a.png"),
        ("GTmod12/a.png", "LRbicx4/a.png"),
        ("DIV2K_valid_HR/a.png", "DIV2K_valid_LR_mild/ax4m.png"),
    ],
)
def test_training_and_evaluation_find_the_same(tmp_path, rng, hr, lr):
    write_pixels(picture(rng), tmp_path / hr)
    write_pixels(picture(rng, 8, 10), tmp_path / "made.png")
    (tmp_path / lr).parent.mkdir(parents=True)
    Image.open(tmp_path / "made.png").save(tmp_path / lr)
    (tmp_path / "made.png").unlink()
    track = "mild" if "mild" in lr else "bicubic"
    roles = ("valid",) if "valid" in lr else ("valid", "train")
    found = [find_sources(tmp_path, scale=4, role=role, track=track) for role in roles]
    for (source,) in found:
        assert (source.hr, source.lr) == (tmp_path / hr, tmp_path / lr)


def test_a_folder_of_data_sets_is_not_trained_on(tmp_path, rng):
    for name in ("HR", "LR_bicubic/X4"):
        write_pixels(picture(rng), tmp_path / "Set5" / name / "a.png")
    with pytest.raises(DataError, match=r"holds datasets \(Set5.HR\), name each"):
        find_sources(tmp_path, scale=4)


def test_training_does_not_learn_from_the_half_kept_for_scores(tmp_path, rng):
    write_pixels(picture(rng), tmp_path / "DIV2K_valid_HR" / "0801.png")
    with pytest.raises(DataError, match="DIV2K_valid_HR"):
        find_sources(tmp_path, scale=4, role="train")
    assert find_sources(tmp_path, scale=4, role="valid")[0].name == "0801"


def test_low_resolution_of_another_scale_is_not_passed_over(tmp_path, rng):
    write_pixels(picture(rng), tmp_path / "HR" / "a.png")
    write_pixels(picture(rng, 16, 20), tmp_path / "LR_bicubic" / "X2" / "a.png")
    with pytest.raises(DataError, match=r"want low-resolution pictures of scale 4, found X2"):
        find_sources(tmp_path, scale=4)
    assert find_sources(tmp_path, scale=4, made_lr=True)[0].lr is None
