"""Scratch: pixels come back as they went, nothing stays behind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold.errors import InputError, OutputError
from fourfold.files.parts import locked_part, part_folder, remove_leftovers
from fourfold.files.paths import atomic_path
from fourfold.pictures.store import PixelStore


@settings(max_examples=60, deadline=None)
@given(
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    channels=st.integers(1, 4),
    dtype=st.sampled_from([np.uint8, np.uint16, np.float32]),
    on_disk=st.booleans(),
    data=st.data(),
)
def test_boxes_come_back(tmp_path_factory, height, width, channels, dtype, on_disk, data) -> None:
    folder = tmp_path_factory.mktemp("scratch")
    rng = np.random.default_rng(height)
    whole = rng.integers(0, 256, (height, width, channels)).astype(dtype)
    top, left = data.draw(st.integers(0, height - 1)), data.draw(st.integers(0, width - 1))
    with PixelStore(whole.shape, dtype, folder=folder, in_memory=0 if on_disk else 10**6) as store:
        assert store.on_disk == on_disk
        store.write(0, 0, whole)
        store.write(top, left, whole[top:, left:])
        assert (store.read(top, height, 0, width) == whole[top:]).all()
        assert (store.read(0, height, left, width) == whole[:, left:]).all()
        image = store.as_vips()
        assert (image.numpy().reshape(whole.shape) == whole).all()
        del image
    assert not list(folder.iterdir())


def test_many_strips(tmp_path: Path) -> None:
    whole = np.random.default_rng(0).integers(0, 65536, (700, 600, 4)).astype(np.uint16)
    with PixelStore(whole.shape, np.uint16, folder=tmp_path, in_memory=0) as store:
        store.write(0, 0, whole)
        assert (store.as_vips().numpy() == whole).all()


def test_no_folder_is_our_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write scratch"):
        PixelStore((9, 9, 3), np.uint8, folder=tmp_path / "missing", in_memory=0)


def test_an_exception_removes_the_part(tmp_path: Path) -> None:
    def interrupted() -> None:
        with atomic_path(tmp_path / "a.png") as part:
            part.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert not list(tmp_path.iterdir())


def test_errors_name_the_result_and_not_the_part(tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught, atomic_path(tmp_path / "a.png") as part:
        raise InputError(f"{part}: no room for {part.name}")
    assert str(caught.value) == f"{tmp_path / 'a.png'}: no room for {tmp_path / 'a.png'}"


def test_a_killed_process_leaves_a_part_that_the_next_removes(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\nfrom pathlib import Path\n"
        "from fourfold.files.parts import locked_part\n"
        "with locked_part(Path(sys.argv[1]), '.png'):\n"
        "    print('ready', flush=True)\n    sys.stdin.read()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout.readline().strip() == b"ready"
    (part,) = tmp_path.iterdir()
    assert remove_leftovers(tmp_path) == []
    process.kill()
    process.communicate(timeout=60)
    assert remove_leftovers(tmp_path) == [part]
    assert not list(tmp_path.iterdir())


def test_only_own_names_are_removed(tmp_path: Path) -> None:
    for name in (".fourfold-xyz.part", "a.part.png", ".part", ".fourfold-0123456789ab.part.d"):
        (tmp_path / name).touch()
    (tmp_path / ".fourfold-0123456789ab.part").mkdir()
    remove_leftovers(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".fourfold-xyz.part", "a.part.png", ".part", ".fourfold-0123456789ab.part"}
    with locked_part(tmp_path) as part:
        assert part.exists()


def test_a_folder_appears_whole_and_the_first_one_stays(tmp_path):
    target = tmp_path / "deep" / "set"
    with pytest.raises(KeyboardInterrupt), part_folder(target) as part:
        (part / "half").touch()
        raise KeyboardInterrupt
    assert list(target.parent.iterdir()) == []
    with part_folder(target) as first, part_folder(target) as second:
        (first / "mine").touch()
        (second / "too").touch()
        assert not target.exists()
    assert [path.name for path in target.parent.iterdir()] == ["set"]
    assert [path.name for path in target.iterdir()] == ["too"]
