"""Which high-resolution picture belongs to which low-resolution one, by folder layout.

Layouts read (scale 4 as the example):

* any folder of pictures: high resolution, the low one is made;
* `HR/` with `LR_bicubic/X4/` or `LR/X4/` (SwinIR, benchmark sets);
* `GTmod12/` with `LRbicx4/` (BasicSR);
* `X4/GT/` with `X4/LR/` (Lornatang);
* `DIV2K_train_HR/` beside `DIV2K_train_LR_bicubic/X4/`, given either by that folder or by the one
  that holds them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fourfold.errors import DataError
from fourfold.pictures.eight_bit import PICTURE_SUFFIXES, find_pictures


@dataclass(frozen=True, slots=True)
class Source:
    """One picture to learn from or to validate on."""

    name: str
    hr: Path
    lr: Path | None
    """None: low resolution is made from `hr`."""


def find_sources(
    folder: Path,
    *,
    scale: int,
    role: Literal["train", "valid"] = "train",
    track: str = "bicubic",
    made_lr: bool = False,
) -> list[Source]:
    """The pictures of a folder, with their low-resolution partners where the layout has them.

    Args:
        folder: see the module's layouts.
        role: which half of a DIV2K folder is meant.
        track: name of the low-resolution track (`LR_<track>`).
        made_lr: leave partners aside, low resolution is made from the picture anyway.

    Raises `DataError` for a missing or empty folder and for pictures without a partner.
    """
    if not folder.is_dir():
        raise DataError(f"{folder}: want a folder of pictures, found no such folder")
    hr_folder, lr_folder = _layout(folder, scale=scale, role=role, track=track)
    pictures = find_pictures(hr_folder)
    if not pictures:
        raise DataError(
            f"{hr_folder}: want pictures ({', '.join(sorted(PICTURE_SUFFIXES))}), found none"
        )
    if lr_folder is None or made_lr:
        return [Source(_name(path, hr_folder), path, None) for path in pictures]
    partners = {path.stem: path for path in find_pictures(lr_folder)}
    sources = []
    for path in pictures:
        partner = partners.get(f"{path.stem}x{scale}") or partners.get(path.stem)
        if partner is None:
            raise DataError(
                f"{path}: no low-resolution partner; want {path.stem}x{scale}.png or "
                f"{path.stem}.png in {lr_folder}"
            )
        sources.append(Source(_name(path, hr_folder), path, partner))
    return sources


def _layout(folder: Path, *, scale: int, role: str, track: str) -> tuple[Path, Path | None]:
    """The folders of high and low resolution; None where low resolution is to be made."""
    upper = f"X{scale}"
    candidates = [
        (folder / "HR", folder / f"LR_{track}" / upper),
        (folder / "HR", folder / "LR" / upper),
        (folder / "GTmod12", folder / f"LRbicx{scale}"),
        (folder / upper / "GT", folder / upper / "LR"),
        (folder / f"DIV2K_{role}_HR", folder / f"DIV2K_{role}_LR_{track}" / upper),
        (folder / f"DIV2K_{role}_HR", folder / f"DIV2K_{role}_LR_{track}"),
        (folder / f"DIV2K_{role}_HR", folder / f"DIV2K_{role}_LR_x{scale}"),  # x8 has no tracks
    ]
    if folder.name.endswith("_HR"):
        beside = folder.with_name(f"{folder.name[:-3]}_LR_{track}")
        candidates += [(folder, beside / upper), (folder, beside)]
    for hr, lr in candidates:
        if hr.is_dir() and lr.is_dir() and find_pictures(lr):
            return hr, lr
    for hr, _ in candidates:
        if hr.is_dir():
            return hr, None
    return folder, None


def _name(path: Path, folder: Path) -> str:
    return path.relative_to(folder).with_suffix("").as_posix()


__all__ = ["Source", "find_sources"]
