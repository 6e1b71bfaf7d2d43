"""The one reader of data sets: which pictures lie in a folder, and which belong together.

Training, validation and evaluation find their pictures here, so a folder means the same to all:

* any picture, or any folder of pictures with sub-folders: high resolution, the low one is made;
* a data set in one of `LAYOUTS`, in any case of letters: pairs;
* one of DIV2K's `..._HR` folders, with its `..._LR_...` beside it: pairs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from fourfold.errors import DataError, InputError
from fourfold.pictures.eight_bit import find_pictures, picture_size
from fourfold.pictures.formats import has_picture_suffix

Role = Literal["train", "valid"]

LAYOUTS: Final = (
    ("HR", "LR_{track}/X{scale}"),  # SwinIR
    ("GTmod12", "LRbicx{scale}"),  # BasicSR
    ("X{scale}/GT", "X{scale}/LR"),  # SRGAN-PyTorch
    ("X{scale}/HR", "X{scale}/LR"),
    ("DIV2K_{role}_HR", "DIV2K_{role}_LR_{track}/X{scale}"),
    ("DIV2K_{role}_HR", "DIV2K_{role}_LR_{track}"),  # mild, difficult and wild have one scale
    ("DIV2K_{role}_HR", "DIV2K_{role}_LR_x{scale}"),  # x8 has no tracks
    ("HR", "LR/X{scale}"),
    ("HR", "LR_x{scale}"),
    ("HR", "X{scale}"),
    ("HR", "LR"),
    ("GT", "LR"),
)
"""Where high- and low-resolution pictures lie below a data set's folder, first come first served."""

_HR_FOLDERS: Final = ("HR", "GTmod12", "GT", "DIV2K_{role}_HR")
_LR_FOLDER: Final = re.compile(r"lr([_ ]?bic.*|[_ ]?x\d+)?|x\d+|div2k_(valid|train)_lr_.*", re.I)
_DATASET_PART: Final = re.compile(r"hr|gt|gtmod12|div2k_(valid|train)_hr", re.I)
_LR_NAMES: Final = (
    "{stem}x{scale}",
    "{stem}",
    "{stem}_x{scale}",
    *("{stem}x{scale}" + mark for mark in ("m", "d", "w1", "w")),  # DIV2K mild, difficult, wild
)


@dataclass(frozen=True, slots=True)
class Source:
    """One picture to learn from or to score."""

    name: str
    """Path below its folder, without suffix where that tells it apart."""
    hr: Path
    lr: Path | None
    """None: low resolution is made from `hr`."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What fills the gaps in the names of a layout."""

    scale: int
    track: str
    role: str

    def fill(self, name: str) -> str:
        return name.format(scale=self.scale, track=self.track, role=self.role)


def find_sources(
    path: Path,
    *,
    scale: int,
    role: Role = "train",
    track: str = "bicubic",
    made_lr: bool = False,
) -> list[Source]:
    """The pictures of a data set, with their low-resolution partners where the layout has them.

    Args:
        path: a picture or a folder; see the module's layouts.
        role: which half of a DIV2K folder is meant; `valid` takes the other one where its own is
            missing, `train` never does.
        track: name of the low-resolution track (`LR_<track>`).
        made_lr: leave partners aside, low resolution is made from the picture anyway.

    Raises `DataError` for a path without pictures, a picture without a partner, low resolution of
    other scales only, and a folder that holds several data sets.
    """
    if path.is_file():
        return [Source(path.stem, path, None)]
    if not path.is_dir():
        raise DataError(f"{path}: want a folder of pictures, found no such folder")
    for half in ("valid", "train") if role == "valid" else ("train",):
        wanted = _Wanted(scale, track, half)
        sources = [] if made_lr else _paired(path, wanted)
        sources = sources or _unpaired(path, wanted, made_lr=made_lr)
        if sources:
            return sources
    _refuse_several(path)
    sources = [Source(name, hr, None) for name, hr in _named(path)]
    if not sources:
        raise DataError(
            f"{path}: want pictures (.png, .jpg, .tif, .webp, .bmp, .heic, ...) or a data set with "
            "HR/ and LR_bicubic/, found none"
        )
    return sources


def _paired(root: Path, wanted: _Wanted) -> list[Source]:
    """Pairs of the first layout both of whose folders hold pictures, or none."""
    found = _beside(root, wanted)
    for hr_name, lr_name in LAYOUTS:
        hr_folder = _subfolder(root, wanted.fill(hr_name))
        lr_folder = _subfolder(root, wanted.fill(lr_name))
        if hr_folder and lr_folder and _holds_one_scale(lr_folder):
            found = found or (hr_folder, lr_folder)
    if found is None:
        return []
    hr_folder, lr_folder = found
    return [_partner(hr, name, lr_folder, wanted.scale) for name, hr in _named(hr_folder)]


def _beside(root: Path, wanted: _Wanted) -> tuple[Path, Path] | None:
    """DIV2K's folder of low resolution beside that of high resolution."""
    absolute = root.absolute()
    if not absolute.name.endswith("_HR"):
        return None
    start = f"{absolute.name[:-3]}_LR_"
    for name in (f"{wanted.track}/X{wanted.scale}", wanted.track, f"x{wanted.scale}"):
        folder = _subfolder(absolute.parent, f"{start}{name}")
        if folder and _holds_one_scale(folder):
            return root, folder
    return None


def _holds_one_scale(folder: Path) -> bool:
    """Whether pictures lie in `folder` or below it, other than in folders named by scale."""
    if any(p.is_dir() and re.fullmatch(r"x\d+", p.name, re.I) for p in folder.iterdir()):
        return False
    return any(has_picture_suffix(path) for path in folder.rglob("*"))


def _unpaired(root: Path, wanted: _Wanted, *, made_lr: bool) -> list[Source]:
    """High-resolution pictures of a data set without their partners; none where it has no such."""
    folders = (_subfolder(root, wanted.fill(name)) for name in _HR_FOLDERS)
    hr_folder = next((folder for folder in folders if folder), None)
    if hr_folder is None:
        return []
    others = sorted(p for p in root.iterdir() if p.is_dir() and _LR_FOLDER.fullmatch(p.name))
    others = [p for p in others if not re.match(rf"div2k_(?!{wanted.role})", p.name, re.I)]
    if others and not made_lr:
        offered = sorted({f"X{n}" for n in _offered_scales(others)}) or [p.name for p in others]
        raise DataError(
            f"{root}: want low-resolution pictures of scale {wanted.scale}, found "
            f"{', '.join(offered)}; use a model of that scale, or give {hr_folder} to make them "
            "from HR"
        )
    _refuse_several(hr_folder)
    return [Source(name, hr, None) for name, hr in _named(hr_folder)]


def _refuse_several(folder: Path) -> None:
    """A folder of data sets would mix high with low resolution."""
    nested = sorted(p for p in folder.rglob("*") if p.is_dir() and _is_dataset_part(p.name))
    if nested:
        raise DataError(
            f"{folder}: holds datasets ({nested[0].relative_to(folder)}), name each of them: "
            f"{nested[0].parent} ..."
        )


def _is_dataset_part(name: str) -> bool:
    return bool(_DATASET_PART.fullmatch(name) or _LR_FOLDER.fullmatch(name))


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


def _partner(hr: Path, name: str, lr_folder: Path, scale: int) -> Source:
    """The pair of `hr`, by the names data sets give their low-resolution files."""
    folder = (lr_folder / name).parent
    files = _by_stem(folder)
    for pattern in _LR_NAMES:
        found = files.get(pattern.format(stem=hr.stem, scale=scale).lower(), [])
        if found:
            same = [path for path in found if path.suffix.lower() == hr.suffix.lower()]
            return Source(name, hr, (same or found)[0])
    raise DataError(
        f"{hr}: no low-resolution partner; want {hr.stem}x{scale}{hr.suffix} or "
        f"{hr.stem}{hr.suffix} in {folder}"
    )


def _by_stem(folder: Path) -> dict[str, list[Path]]:
    """Pictures directly in `folder` by their stems in small letters."""
    found: dict[str, list[Path]] = {}
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            if has_picture_suffix(path):
                found.setdefault(path.stem.lower(), []).append(path)
    return found


def problem_of(
    source: Source, *, scale: int, min_side: int = 1, too_small: str = " is too small"
) -> str | None:
    """What is wrong with a picture or a pair, with its name; None if nothing. Reads headers only.

    `min_side` is wanted of the high resolution cut to a multiple of `scale`; `too_small` is what is
    said of less.
    """
    try:
        height, width = picture_size(source.hr)
        low = picture_size(source.lr) if source.lr else None
    except InputError as error:
        return str(error)
    need = max(min_side + -min_side % scale, scale)
    if min(height, width) < need:
        return f"{source.hr}: {width}x{height}{too_small}; want at least {need} pixels a side"
    want = (height // scale, width // scale)
    if low is not None and low != want:
        return (
            f"{source.lr}: {low[1]}x{low[0]} pixels, want {want[1]}x{want[0]}: {source.hr.name} is "
            f"{width}x{height} and the scale {scale}"
        )
    return None


__all__ = ["LAYOUTS", "Role", "Source", "find_sources", "problem_of"]
