"""Folders to pairs: which pictures are scored, and where their low-resolution inputs are.

Everything that can be wrong with a dataset is found here, from names and headers, before any
network runs.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import DataError
from fourfold.imaging.resize import imresize
from fourfold.metrics.protocol import smallest_side
from fourfold.pictures.eight_bit import PICTURE_SUFFIXES, find_pictures, picture_size, read_rgb8

LAYOUTS: Final = (
    ("HR", "LR_bicubic/X{scale}"),  # SwinIR
    ("GTmod12", "LRbicx{scale}"),  # BasicSR
    ("X{scale}/GT", "X{scale}/LR"),  # SRGAN-PyTorch
    ("X{scale}/HR", "X{scale}/LR"),
    ("DIV2K_valid_HR", "DIV2K_valid_LR_bicubic/X{scale}"),  # first: scores are for validation
    ("DIV2K_train_HR", "DIV2K_train_LR_bicubic/X{scale}"),
    ("HR", "LR/X{scale}"),
    ("HR", "LR_x{scale}"),
    ("HR", "X{scale}"),
    ("HR", "LR"),
    ("GT", "LR"),
)
"""Where high- and low-resolution pictures lie below a dataset's folder (any case)."""

_HR_FOLDERS: Final = ("HR", "GTmod12", "GT", "DIV2K_valid_HR", "DIV2K_train_HR")
_LR_FOLDER: Final = re.compile(r"lr([_ ]?bic.*|[_ ]?x\d+)?|x\d+|div2k_(valid|train)_lr_.*", re.I)
_LR_NAMES: Final = ("{stem}x{scale}", "{stem}", "{stem}_x{scale}", "{stem}X{scale}")

Rgb8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Pair:
    """One picture to score. Without `lr`, the input is made from `hr`."""

    name: str
    hr: Path
    lr: Path | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A checked list of pairs of one scale."""

    name: str
    scale: int
    pairs: tuple[Pair, ...]

    def sha256(self) -> str:
        """Hash of names and file contents, in order."""
        digest = hashlib.sha256(f"x{self.scale}".encode())
        for pair in self.pairs:
            for path in (pair.hr, pair.lr):
                content = hashlib.sha256(path.read_bytes()).hexdigest() if path else "made"
                digest.update(f"{pair.name}\0{content}\n".encode())
        return digest.hexdigest()


def load_pair(pair: Pair, *, scale: int) -> tuple[Rgb8, Rgb8]:
    """LR and HR as uint8 `(H, W, 3)`, HR cropped to a multiple of `scale`.

    A missing LR is made as MATLAB's `imresize(hr, 1/scale)` makes it from integers.
    """
    hr = read_rgb8(pair.hr)
    height, width = (side - side % scale for side in hr.shape[:2])
    hr = np.ascontiguousarray(hr[:height, :width])
    lr = read_rgb8(pair.lr) if pair.lr else imresize(hr, 1 / scale)
    return lr, hr


def open_datasets(paths: list[Path], *, scale: int) -> list[Dataset]:
    """Open every folder at `scale`; folders of one name are told apart by their parents."""
    datasets = [open_dataset(path, scale=scale) for path in paths]
    seen = Counter(dataset.name for dataset in datasets)
    renamed = [
        Dataset(name=f"{path.absolute().parent.name}/{d.name}", scale=d.scale, pairs=d.pairs)
        if seen[d.name] > 1
        else d
        for path, d in zip(paths, datasets, strict=True)
    ]
    doubled = [name for name, count in Counter(d.name for d in renamed).items() if count > 1]
    if doubled:
        raise DataError(f"--data: want different datasets, got {doubled[0]} more than once")
    return renamed


def open_dataset(path: Path, *, scale: int) -> Dataset:
    """Find and check the pairs of `path`, a dataset's folder, a folder of pictures or a picture.

    `DataError` names what does not fit: no pictures, LR of another scale, a missing partner, a
    size that is not HR's divided by `scale`, or a picture too small to be scored.
    """
    if not path.exists():
        raise DataError(f"{path}: no such folder")
    if path.is_file():
        pairs = [Pair(path.stem, path, None)]
    else:
        pairs = _paired(path, scale) or _unpaired(path, scale)
    if not pairs:
        raise DataError(
            f"{path}: no pictures found (want {', '.join(sorted(PICTURE_SUFFIXES))} files, "
            "or a dataset with HR/ and LR_bicubic/)"
        )
    for pair in pairs:
        _check_pair(pair, scale)
    return Dataset(name=_dataset_name(path), scale=scale, pairs=tuple(pairs))


def _paired(root: Path, scale: int) -> list[Pair]:
    """Pairs of the first layout both of whose folders exist, or none."""
    for hr_name, lr_name in LAYOUTS:
        hr_folder = _subfolder(root, hr_name.format(scale=scale))
        lr_folder = _subfolder(root, lr_name.format(scale=scale))
        if hr_folder and lr_folder and _holds_one_scale(lr_folder):
            return [_partner(hr, name, lr_folder, scale) for name, hr in _named(hr_folder)]
    return []


def _holds_one_scale(folder: Path) -> bool:
    """Whether pictures lie in `folder` or below it, other than in folders named by scale."""
    if any(p.is_dir() and re.fullmatch(r"x\d+", p.name, re.I) for p in folder.iterdir()):
        return False
    return any(p.suffix.lower() in PICTURE_SUFFIXES for p in folder.rglob("*"))


def _unpaired(root: Path, scale: int) -> list[Pair]:
    """High-resolution pictures alone, in the folder for them or in `root` itself."""
    hr_folder = next((f for name in _HR_FOLDERS if (f := _subfolder(root, name))), None)
    others = sorted(p for p in root.iterdir() if p.is_dir() and _LR_FOLDER.fullmatch(p.name))
    if others and hr_folder:
        offered = sorted({f"X{n}" for n in _offered_scales(others)}) or [p.name for p in others]
        raise DataError(
            f"{root}: want low-resolution pictures of scale {scale}, found {', '.join(offered)}; "
            f"use a model of that scale, or --data {hr_folder} to make them from HR"
        )
    folder = hr_folder or root
    nested = sorted(p for p in folder.rglob("*") if p.is_dir() and _is_dataset_part(p))
    if nested:
        first = nested[0].parent
        raise DataError(
            f"{folder}: holds datasets ({nested[0].relative_to(folder)}), name each of them: "
            f"--data {first} ..."
        )
    return [Pair(name, hr, None) for name, hr in _named(folder)]


def _is_dataset_part(folder: Path) -> bool:
    name = folder.name.lower()
    return name in {hr.lower() for hr in _HR_FOLDERS} or bool(_LR_FOLDER.fullmatch(folder.name))


def _offered_scales(folders: list[Path]) -> Iterator[int]:
    for folder in folders:
        names = [folder.name, *(child.name for child in folder.iterdir() if child.is_dir())]
        for name in names:
            if match := re.search(r"x(\d+)$", name, re.I):
                yield int(match[1])


def _subfolder(root: Path, relative: str) -> Path | None:
    """The folder `relative` below `root`, whatever the case of its letters."""
    folder = root
    for part in relative.split("/"):
        matches = [p for p in folder.iterdir() if p.is_dir() and p.name.lower() == part.lower()]
        if not matches:
            return None
        folder = min(matches)
    return folder


def _named(folder: Path) -> list[tuple[str, Path]]:
    """Pictures below `folder` with short names: without suffix where that tells them apart."""
    pictures = find_pictures(folder)
    short = [p.relative_to(folder).with_suffix("").as_posix() for p in pictures]
    count = Counter(short)
    return [
        (name if count[name] == 1 else picture.relative_to(folder).as_posix(), picture)
        for name, picture in zip(short, pictures, strict=True)
    ]


def _partner(hr: Path, name: str, lr_folder: Path, scale: int) -> Pair:
    """The pair of `hr`, by the names datasets give their low-resolution files."""
    folder = (lr_folder / name).parent
    files = {p.name.lower(): p for p in sorted(folder.iterdir())} if folder.is_dir() else {}
    for pattern in _LR_NAMES:
        stem = pattern.format(stem=hr.stem, scale=scale)
        for suffix in (hr.suffix, *sorted(PICTURE_SUFFIXES)):
            if found := files.get(f"{stem}{suffix}".lower()):
                return Pair(name, hr, found)
    raise DataError(
        f"{hr}: no low-resolution partner; want {hr.stem}x{scale}{hr.suffix} or "
        f"{hr.stem}{hr.suffix} in {folder}"
    )


def _check_pair(pair: Pair, scale: int) -> None:
    height, width = picture_size(pair.hr)
    need = smallest_side(scale)
    if min(height - height % scale, width - width % scale) < need:
        raise DataError(
            f"{pair.hr}: {width}x{height} is too small to score at scale {scale}; "
            f"want at least {need + -need % scale} pixels a side"
        )
    if pair.lr is None:
        return
    want = (height // scale, width // scale)
    got = picture_size(pair.lr)
    if got != want:
        raise DataError(
            f"{pair.lr}: {got[1]}x{got[0]}, but {pair.hr.name} is {width}x{height} and scale "
            f"{scale} wants {want[1]}x{want[0]}"
        )


def _dataset_name(path: Path) -> str:
    """`Set5` for `.../Set5`, `.../Set5/HR` and `.../Set5/X4`."""
    absolute = path.absolute()
    if absolute.is_file():
        return absolute.stem
    generic = absolute.name.lower() in {"hr", "gt", "gtmod12"} or re.fullmatch(
        r"x\d", absolute.name, re.I
    )
    return (absolute.parent.name if generic else absolute.name) or "data"


__all__ = ["LAYOUTS", "Dataset", "Pair", "load_pair", "open_dataset", "open_datasets"]
