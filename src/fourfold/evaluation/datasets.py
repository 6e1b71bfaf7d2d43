"""Data sets as they are scored: checked from names and headers before any network runs."""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fourfold.datasets.layouts import Source, find_sources, problem_of
from fourfold.errors import DataError, InputError
from fourfold.imaging.resize import imresize
from fourfold.metrics.protocol import smallest_side
from fourfold.pictures.eight_bit import read_rgb8

logger = logging.getLogger(__name__)

Rgb8 = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """A checked list of pairs of one scale."""

    name: str
    scale: int
    pairs: tuple[Source, ...]

    def sha256(self) -> str:
        """Hash of names and file contents, in order."""
        digest = hashlib.sha256(f"x{self.scale}".encode())
        for pair in self.pairs:
            for path in (pair.hr, pair.lr):
                content = hashlib.sha256(path.read_bytes()).hexdigest() if path else "made"
                digest.update(f"{pair.name}\0{content}\n".encode())
        return digest.hexdigest()


def load_pair(pair: Source, *, scale: int) -> tuple[Rgb8, Rgb8]:
    """LR and HR as uint8 `(H, W, 3)`, HR cropped to a multiple of `scale`.

    A missing LR is made as MATLAB's `imresize(hr, 1/scale)` makes it from integers.
    """
    hr = read_rgb8(pair.hr)
    height, width = (side - side % scale for side in hr.shape[:2])
    hr = np.ascontiguousarray(hr[:height, :width])
    lr = read_rgb8(pair.lr) if pair.lr else imresize(hr, 1 / scale)
    return lr, hr


def open_datasets(
    paths: Sequence[Path], *, scale: int, limit: int | None = None, skip_bad: bool = False
) -> list[Dataset]:
    """Open every folder at `scale`; folders of one name are told apart by their parents."""
    datasets = [open_dataset(path, scale=scale, limit=limit, skip_bad=skip_bad) for path in paths]
    seen = Counter(dataset.name for dataset in datasets)
    renamed = [
        replace(d, name=f"{path.absolute().parent.name}/{d.name}") if seen[d.name] > 1 else d
        for path, d in zip(paths, datasets, strict=True)
    ]
    doubled = [name for name, count in Counter(d.name for d in renamed).items() if count > 1]
    if doubled:
        raise DataError(f"--data: want different datasets, got {doubled[0]} more than once")
    return renamed


def open_dataset(
    path: Path, *, scale: int, limit: int | None = None, skip_bad: bool = False
) -> Dataset:
    """Find and check the pairs of `path`, a dataset's folder, a folder of pictures or a picture.

    Args:
        path: see `datasets.layouts`.
        scale: high over low resolution.
        limit: take the first so many pairs by name.
        skip_bad: warn of a pair that cannot be scored and take the next; each is then decoded.

    `DataError` names what does not fit: no pictures, LR of another scale, a missing partner, a
    size that is not HR's divided by `scale`, or a picture too small to be scored.
    """
    pairs: list[Source] = []
    for source in find_sources(path, scale=scale, role="valid"):
        if len(pairs) == limit:
            break
        problem = _problem(source, scale, decode=skip_bad)
        if problem is None:
            pairs.append(source)
        elif skip_bad:
            logger.warning("%s; left out", problem)
        else:
            raise DataError(problem)
    if not pairs:
        raise DataError(f"{path}: none of its pictures can be scored")
    return Dataset(name=_dataset_name(path), scale=scale, pairs=tuple(pairs))


def _problem(source: Source, scale: int, *, decode: bool) -> str | None:
    need, too_small = smallest_side(scale), f" is too small to score at scale {scale}"
    problem = problem_of(source, scale=scale, min_side=need, too_small=too_small)
    if problem is None and decode:
        try:
            load_pair(source, scale=scale)
        except InputError as error:
            return str(error)
    return problem


def _dataset_name(path: Path) -> str:
    """`Set5` for `.../Set5`, `.../Set5/HR` and `.../Set5/X4`."""
    absolute = path.absolute()
    if absolute.is_file():
        return absolute.stem
    generic = absolute.name.lower() in {"hr", "gt", "gtmod12"} or re.fullmatch(
        r"x\d", absolute.name, re.I
    )
    return (absolute.parent.name if generic else absolute.name) or "data"


__all__ = ["Dataset", "load_pair", "open_dataset", "open_datasets"]
