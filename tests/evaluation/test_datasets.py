"""Any usual layout is found; what does not fit is refused before any work."""

from __future__ import annotations

import numpy as np
import pytest
import pyvips

from fourfold.errors import DataError, FourfoldError, InputError
from fourfold.evaluation.datasets import load_pair, open_dataset, open_datasets
from fourfold.imaging.resize import imresize
from fourfold.pictures.eight_bit import picture_size, read_rgb8
from fourfold.pictures.images import write_pixels


@pytest.fixture
def make(tmp_path, draw):
    """Writes HR and LR pictures to the folders of a layout."""

    def write(hr_folder, lr_folder=None, *, lr_name="{stem}x4.png", scale=4, names=("a", "b")):
        for seed, name in enumerate(names):
            hr = draw(49, 66, seed)
            write_pixels(hr, tmp_path / "Tiny" / hr_folder / f"{name}.png")
            if lr_folder:
                height, width = 49 // scale * scale, 66 // scale * scale
                lr = imresize(hr[:height, :width], 1 / scale)
                write_pixels(lr, tmp_path / "Tiny" / lr_folder / lr_name.format(stem=name))
        return tmp_path / "Tiny"

    return write


LAYOUTS = [
    ("HR", "LR_bicubic/X4", "{stem}x4.png"),
    ("hr", "lr_bicubic/x4", "{stem}X4.PNG"),
    ("GTmod12", "LRbicx4", "{stem}.png"),
    ("X4/GT", "X4/LR", "{stem}.png"),
    ("DIV2K_valid_HR", "DIV2K_valid_LR_bicubic/X4", "{stem}x4.png"),
    ("HR", "LR", "{stem}_x4.png"),
    ("HR/day/one", "LR_bicubic/X4/day/one", "{stem}x4.png"),
]


@pytest.mark.parametrize(("hr", "lr", "lr_name"), LAYOUTS)
def test_usual_layouts_are_paired(make, hr, lr, lr_name):
    dataset = open_dataset(make(hr, lr, lr_name=lr_name), scale=4)
    assert dataset.name == "Tiny"
    assert [pair.name.rsplit("/", 1)[-1] for pair in dataset.pairs] == ["a", "b"]
    for pair in dataset.pairs:
        assert pair.lr is not None
        lr_pixels, hr_pixels = load_pair(pair, scale=4)
        assert (lr_pixels.shape, hr_pixels.shape) == ((12, 16, 3), (48, 64, 3))
        np.testing.assert_array_equal(lr_pixels, imresize(hr_pixels, 0.25))


def test_a_folder_named_by_scale_is_the_dataset_above_it(make):
    assert open_dataset(make("X4/GT", "X4/LR", lr_name="{stem}.png") / "X4", scale=4).name == "Tiny"


def test_hr_alone_gets_its_lr_made(make):
    root = make("HR")
    for path in (root, root / "HR", root / "HR" / "a.png"):
        dataset = open_dataset(path, scale=2)
        lr, hr = load_pair(dataset.pairs[0], scale=2)
        np.testing.assert_array_equal(lr, imresize(hr, 0.5))
        assert hr.shape == (48, 66, 3)


def test_pictures_of_every_kind_in_sub_folders_are_read(tmp_path, draw):
    picture = draw(41, 53)
    grey16 = picture[..., 0].astype(np.uint16) * 257
    alpha = np.dstack([picture, np.full(picture.shape[:2], 200, np.uint8)])
    files = {
        "rgb.png": picture, "GREY.PNG": picture[..., 0], "deep/16 bit.tif": grey16,
        "deep/er/alpha.png": alpha, "photo.JPG": picture,
        "deep/grey alpha.png": alpha[..., 2:], "rgb16.png": picture.astype(np.uint16) * 257,
    }  # fmt: skip
    for name, pixels in files.items():
        write_pixels(pixels, tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    write_pixels(picture, tmp_path / ".hidden" / "x.png")
    dataset = open_dataset(tmp_path, scale=4)
    assert len(dataset.pairs) == len(files)
    for pair in dataset.pairs:
        lr, hr = load_pair(pair, scale=4)
        assert lr.dtype == hr.dtype == np.uint8
        assert (lr.shape, hr.shape) == ((10, 13, 3), (40, 52, 3))
    np.testing.assert_array_equal(read_rgb8(tmp_path / "rgb16.png"), picture)
    np.testing.assert_array_equal(read_rgb8(tmp_path / "GREY.PNG")[..., 2], picture[..., 0])
    np.testing.assert_array_equal(read_rgb8(tmp_path / "deep/er/alpha.png"), picture)


def test_one_stem_with_two_suffixes_gives_two_names(tmp_path, draw):
    write_pixels(draw(), tmp_path / "a.png")
    write_pixels(draw(), tmp_path / "a.bmp.png")
    write_pixels(draw(), tmp_path / "a.jpg")
    names = [pair.name for pair in open_dataset(tmp_path, scale=4).pairs]
    assert sorted(names) == ["a.bmp", "a.jpg", "a.png"]


@pytest.mark.parametrize("lr", ["LR_bicubic/X4", "LR/X4", "LR_x4"])
def test_lr_of_another_scale_is_refused(make, lr):
    with pytest.raises(DataError, match=r"scale 2, found X4; use a model of that scale, or"):
        open_dataset(make("HR", lr), scale=2)


def test_a_missing_partner_is_named(make, tmp_path):
    root = make("HR", "LR_bicubic/X4")
    (root / "LR_bicubic" / "X4" / "bx4.png").unlink()
    with pytest.raises(DataError, match=r"b\.png: no low-resolution partner; want bx4\.png"):
        open_dataset(root, scale=4)


def test_another_size_is_refused(make, draw):
    root = make("HR", "LR_bicubic/X4")
    write_pixels(draw(13, 17), root / "LR_bicubic" / "X4" / "bx4.png")
    with pytest.raises(
        DataError, match=r"17x13 pixels, want 16x12: b\.png is 66x49 and the scale 4"
    ):
        open_dataset(root, scale=4)


def test_a_folder_of_datasets_is_refused(make, tmp_path):
    make("HR", "LR_bicubic/X4")
    with pytest.raises(DataError, match=r"holds datasets \(Tiny.HR\), name each"):
        open_dataset(tmp_path, scale=4)


def test_too_small_pictures_are_refused(tmp_path, draw):
    write_pixels(draw(19, 64), tmp_path / "flat.png")
    with pytest.raises(DataError, match="64x19 is too small to score at scale 4; want at least 20"):
        open_dataset(tmp_path, scale=4)
    write_pixels(draw(20, 20), tmp_path / "flat.png")
    assert len(open_dataset(tmp_path, scale=4).pairs) == 1


def test_empty_missing_and_damaged_are_refused(tmp_path):
    with pytest.raises(DataError, match="no such folder"):
        open_dataset(tmp_path / "nowhere", scale=4)
    with pytest.raises(DataError, match=r"want pictures .* found none"):
        open_dataset(tmp_path, scale=4)
    (tmp_path / "broken.png").write_bytes(b"\x89PNG not really")
    with pytest.raises(FourfoldError, match=r"broken\.png: not a readable picture"):
        open_dataset(tmp_path, scale=4)


def test_float_pictures_are_refused_clearly(tmp_path):
    pyvips.Image.black(40, 40).cast("float").write_to_file(str(tmp_path / "float.tif"))
    assert picture_size(tmp_path / "float.tif") == (40, 40)
    with pytest.raises(InputError, match="want 8 or 16 bit"):
        read_rgb8(tmp_path / "float.tif")


def test_datasets_of_one_name_are_told_apart(tmp_path, draw):
    for parent in ("one", "two"):
        write_pixels(draw(), tmp_path / parent / "Set5" / "HR" / "a.png")
    paths = [tmp_path / "one" / "Set5", tmp_path / "two" / "Set5"]
    assert [d.name for d in open_datasets(paths, scale=4)] == ["one/Set5", "two/Set5"]
    with pytest.raises(DataError, match="more than once"):
        open_datasets([paths[0], paths[0]], scale=4)


def test_the_hash_follows_content_names_and_scale(make, draw):
    root = make("HR")
    first = open_dataset(root, scale=4).sha256()
    assert first == open_dataset(root, scale=4).sha256()
    assert first != open_dataset(root, scale=2).sha256()
    write_pixels(draw(49, 66, 9), root / "HR" / "b.png")
    assert first != open_dataset(root, scale=4).sha256()


def test_bench_sets_open(bench):
    assert len(open_dataset(bench / "Set5", scale=8).pairs) == 5
    assert len(open_dataset(bench / "Set14", scale=2).pairs) == 14
    with pytest.raises(DataError, match="found X2, X4"):
        open_dataset(bench / "Set14", scale=8)


def test_bad_pictures_are_left_out_where_asked(tmp_path, draw, caplog):
    for seed, name in enumerate("abcd"):
        write_pixels(draw(60, 80, seed), tmp_path / f"{name}.png")
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:3000])
    (tmp_path / "b.png").write_text("buy milk")
    dataset = open_dataset(tmp_path, scale=4, limit=1, skip_bad=True)
    assert [pair.name for pair in dataset.pairs] == ["c"]
    assert [name in caplog.text for name in ("a.png", "b.png")] == [True, True]
    for name in "cd":
        (tmp_path / f"{name}.png").write_text("buy milk")
    with pytest.raises(DataError, match="none of its pictures can be scored"):
        open_dataset(tmp_path, scale=4, skip_bad=True)
