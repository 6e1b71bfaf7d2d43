"""The file that goes to a borrowed GPU: photographs, a teacher and VGG16, below a size.

A zip file of `teacher/`, `vgg16.npz` and `photos/`. The teacher is kept to the bit. Convolutions of VGG16
are int8 with a scale for each output channel: LPIPS of the pictures of Set5 enlarged by cubic moves by
0.4 % at most, and its gradient has a cosine of at least 0.95 with the exact one's. Crops are WebP at
quality 92, whose colours have half the resolution.
"""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image

from fourfold.datasets import find_sources
from fourfold.engine.network import load_network
from fourfold.errors import InputError, UsageError
from fourfold.files.parts import part_folder
from fourfold.files.paths import atomic_path
from fourfold.pictures.eight_bit import picture_size, read_rgb8
from fourfold.weights.readers.perceptual import VARIABLE, read_lpips_weights

SIDE: Final = 512
"""Of the crops; a lesson with its margins takes 448 pixels."""
QUALITY: Final = 92
ENTRY: Final = 76
"""Bytes that a zip file spends on an entry, beside its name (twice) and its content; 22 end the file."""


def pack(
    data: Sequence[Path],
    teacher: Path,
    metrics: Path,
    output: Path,
    *,
    megabytes: float = 60.0,
    side: int = SIDE,
) -> str:
    """Write the bundle, below `megabytes` (of 1 000 000 bytes); says what is in it.

    Raises `UsageError` when not even one crop fits, and the readers' errors for a teacher, weights or
    photographs that the session could not read.
    """
    load_network(str(teacher))
    parts = [teacher, teacher.with_suffix(".bin")] if teacher.suffix == ".param" else [teacher]
    corners = list(spread(data, side))
    count = 0
    with atomic_path(output) as part, zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in parts:
            archive.write(path, f"teacher/{path.name}")
        archive.writestr("vgg16.npz", narrow_vgg(metrics))
        room = megabytes * 1e6 - size_of(archive)
        for path, top, left in corners:
            content = webp(read_rgb8(path)[top : top + side, left : left + side])
            name = f"photos/{count:05d}.webp"
            room -= len(content) + 2 * len(name) + ENTRY
            if room <= 0:
                break
            archive.writestr(name, content, zipfile.ZIP_STORED)
            count += 1
        if not count:
            raise UsageError(
                f"--megabytes {megabytes:g}: teacher and VGG16 take {size_of(archive) / 1e6:.1f} MB, want "
                f"room for crops of {side}x{side} too; allow more, or take a smaller teacher"
            )
    photographs = len({path for path, _, _ in corners[:count]})
    size = output.stat().st_size / 1e6
    return f"{output}: {size:.1f} MB, {count} crops {side}x{side} of {photographs} photographs"


def spread(data: Sequence[Path], side: int) -> Iterator[tuple[Path, int, int]]:
    """File, top and left of crops that do not overlap: one of each photograph, then a second, …

    Photographs come in a random order, always the same one, so that a part of them is of all kinds.
    """
    rng = np.random.default_rng(0)
    paths = [source.hr for path in data for source in find_sources(path, scale=4, made_lr=True)]
    cells = []
    for path in (paths[i] for i in rng.permutation(len(paths))):
        height, width = picture_size(path)
        grid = [
            (path, top, left)
            for top in range(0, height - side + 1, side)
            for left in range(0, width - side + 1, side)
        ]
        cells.append([grid[i] for i in rng.permutation(len(grid))])
    if not any(cells):
        raise UsageError(f"--data: want photographs of at least {side}x{side} pixels, found none")
    for turn in range(max(map(len, cells))):
        yield from (own[turn] for own in cells if turn < len(own))


def size_of(archive: zipfile.ZipFile) -> int:
    """Bytes the zip file would have if it ended here."""
    entries = archive.infolist()
    return 22 + sum(e.compress_size + 2 * len(e.filename) + ENTRY for e in entries)


def webp(pixels: np.ndarray[Any, Any]) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "WEBP", quality=QUALITY, method=4)
    return content.getvalue()


def narrow_vgg(metrics: Path) -> bytes:
    """VGG16 and the heads of LPIPS as `.npz`, convolutions as int8 with a scale per output channel."""
    with variable(VARIABLE, str(metrics)):
        convolutions, heads = read_lpips_weights("vgg")
    arrays: dict[str, np.ndarray[Any, Any]] = {f"head{i}": head for i, head in enumerate(heads)}
    for i, (weight, bias) in enumerate(convolutions):
        scale = np.abs(weight).max((1, 2, 3), keepdims=True) / np.float32(127)
        scale = np.maximum(scale, np.finfo(np.float32).tiny)
        arrays[f"weight{i}"] = np.round(weight / scale).astype(np.int8)
        arrays |= {f"scale{i}": scale, f"bias{i}": bias}
    content = io.BytesIO()
    np.savez(content, **arrays)  # type: ignore[arg-type]
    return content.getvalue()


def widen_vgg(narrow: Path, target: Path) -> None:
    """Write `target` (`vgg16.ckpt`), laid out as `weights.readers.perceptual` reads it."""
    with np.load(narrow) as arrays:
        count = sum(name.startswith("weight") for name in arrays)
        backbone = {}
        for i in range(count):
            weight = arrays[f"weight{i}"] * arrays[f"scale{i}"]
            kernel = np.ascontiguousarray(weight.transpose(2, 3, 1, 0))
            backbone[f"Conv_{i}"] = {"kernel": kernel, "bias": arrays[f"bias{i}"]}
        heads = {
            f"NetLinLayer_{i}": {"Conv_0": {"kernel": arrays[f"head{i}"].reshape(1, 1, -1, 1)}}
            for i in range(5)
        }
    # Protocol 5 pickles arrays by a function that the reader does not let in.
    target.write_bytes(pickle.dumps({"VGG16_0": backbone, **heads}, protocol=4))


def unpack(bundle: Path, work: Path) -> Path:
    """The bundle's content in a folder of its own in `work`, VGG16 as training reads it.

    What is there stays as it is: lessons are known by the times of the files they were made from.
    Raises `InputError` for a file that is missing, damaged or something else.
    """
    try:
        with bundle.open("rb") as file:
            folder = work / hashlib.file_digest(file, "sha256").hexdigest()[:12]
        if folder.is_dir():
            return folder
        with zipfile.ZipFile(bundle) as archive, part_folder(folder) as part:
            archive.extractall(part)
            widen_vgg(part / "vgg16.npz", part / "vgg16.ckpt")
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise InputError(f"{bundle}: want what `pack` made, whole; got {error}") from error
    return folder


def teacher_in(folder: Path) -> Path:
    """The teacher of an unpacked bundle."""
    return next(p for p in sorted((folder / "teacher").iterdir()) if p.suffix != ".bin")


@contextmanager
def variable(name: str, value: str) -> Iterator[None]:
    """An environment variable for the time being."""
    before = os.environ.get(name)
    os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name)
        if before is not None:
            os.environ[name] = before
