"""DIV2K: the archives, fetched, checked, unpacked and verified as pairs.

Agustsson and Timofte 2017; for academic research only, as its page says. Sizes and SHA-256 of the
archives are those TensorFlow Datasets records for them.
"""

from __future__ import annotations

import logging
import shutil
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from fourfold.datasets.layouts import find_sources, problem_of
from fourfold.errors import DataError, DownloadError, OutputError, UsageError
from fourfold.files.download import Download, fetch

logger = logging.getLogger(__name__)

HOME: Final = "https://data.vision.ee.ethz.ch/cvl/DIV2K/"

# archive name: (bytes, SHA-256)
ARCHIVES: Final[Mapping[str, tuple[int, str]]] = {
    "DIV2K_train_HR": (
        3530603713,
        "9d0b9c463f6e35b6c62cc6a930ee2224f670b34c1df841a57670f9acf0f6c335",
    ),
    "DIV2K_valid_HR": (
        448993893,
        "20dd31fd84d777bc1cf5d6b7654a3f569c0aec74458ae094122ad1d0489900fc",
    ),
    "DIV2K_train_LR_bicubic_X2": (
        925390592,
        "a53a424317575838dadce4bcd97cf7b744d6855f43740ed5f0245af3cf4bd850",
    ),
    "DIV2K_train_LR_bicubic_X3": (
        427847282,
        "ad5c8e5507e2765823d3c2c5bd0934842efcd487c5370604c224090898b3163a",
    ),
    "DIV2K_train_LR_bicubic_X4": (
        246914039,
        "f006b837f4eb52b82909aa01478e6d6d199eefce932179491d0c9dbb706dde3a",
    ),
    "DIV2K_valid_LR_bicubic_X2": (
        117763600,
        "60eed9875c697df51204aa579e2a699e1d5215095788a097ff54dd17e2664d57",
    ),
    "DIV2K_valid_LR_bicubic_X3": (
        54513392,
        "04b9a2ed3b4a0715d3924d3ae8514830c3328fac8d30512ce716d6f419e052a3",
    ),
    "DIV2K_valid_LR_bicubic_X4": (
        31505881,
        "a50a5d1c4b88de4e8d300d8fb2b904c52fe93b2b298a4899697760d7cbb6d553",
    ),
    "DIV2K_train_LR_unknown_X2": (
        734182735,
        "f166eeba119fc55bfc9a99c05561980e7a965382f36640ce8ef626c9f61d122c",
    ),
    "DIV2K_train_LR_unknown_X3": (
        377245548,
        "b6455af3b2aa02d76ae3238c49d7aae3b48b0acdc44b5bdc0f4c02d40ebcb43b",
    ),
    "DIV2K_train_LR_unknown_X4": (
        208956781,
        "d131c7aad51e0abbdc4433362ce899e5e75f40b9847ead70ee995188e8fd0adb",
    ),
    "DIV2K_valid_LR_unknown_X2": (
        93433041,
        "ec50bb084c0011130874efd2ed7859b46e0aa7104c565818d5271ac315e04e0a",
    ),
    "DIV2K_valid_LR_unknown_X3": (
        48143315,
        "ebf23a3e1ef6800cae97285d3a50d022d89b62655e685884c0abcc89eec5b809",
    ),
    "DIV2K_valid_LR_unknown_X4": (
        26695095,
        "e3897555a98de1157c20974fb6093105fbc1ff5e9caf7bd348f58f6da140fbef",
    ),
    "DIV2K_train_LR_x8": (
        65753171,
        "706fa23164fa0756a3accb78e69b937ea47f882b47e13506895deefd623a35c2",
    ),
    "DIV2K_valid_LR_x8": (
        8428103,
        "3432f23da7c6887acc5e2cde9669427a7710b3b256c58912dddc19e3eda5bc69",
    ),
    "DIV2K_train_LR_mild": (
        275693358,
        "ce5fbe6252d1000c55656b0666dccdeaf8e66b86ae5ff528c49343012e8e1391",
    ),
    "DIV2K_valid_LR_mild": (
        35300939,
        "eedfbcb6acc6662a3f52924aaa5a423693244f3276d37c3fca7944c7325859ff",
    ),
    "DIV2K_train_LR_difficult": (
        263211252,
        "50624a649a0857fdb8e4a948e79c44c37dedbacb5729f9349cc983c47bfdf799",
    ),
    "DIV2K_valid_LR_difficult": (
        33596835,
        "08b4e740496b50846497463121329c707dd8ed26eb8a655d175e9a595286d5e8",
    ),
    "DIV2K_train_LR_wild": (
        1079873385,
        "ce68f7db812d12241212bb9d6b07406472bef3d785c463238888b44189c5ceb3",
    ),
    "DIV2K_valid_LR_wild": (
        34655417,
        "ce921d2048eef3e1fd9ba359d1876b1c93e33bd7a531306f7782672391df9820",
    ),
}

PICTURES: Final = {"train": 800, "valid": 100}
"""Pictures in each half."""

_SCALES: Final[Mapping[str, tuple[int, ...]]] = {
    "bicubic": (2, 3, 4, 8),
    "unknown": (2, 3, 4),
    "mild": (4,),
    "difficult": (4,),
    "wild": (4,),
}
TRACKS: Final = tuple(_SCALES)


@dataclass(frozen=True, slots=True)
class Archive:
    """One zip file of the set: where it comes from and what it must be."""

    name: str
    download: Download


def archives(*, track: str = "bicubic", scale: int = 4, home: str = HOME) -> list[Archive]:
    """The four archives of a track; `UsageError` for a track or scale that does not exist."""
    if track not in _SCALES:
        raise UsageError(f"--track {track}: want one of {', '.join(TRACKS)}")
    if scale not in _SCALES[track]:
        raise UsageError(f"--scale {scale}: track {track} has {_SCALES[track]}")
    if track == "bicubic":
        low = "x8" if scale == 8 else f"bicubic_X{scale}"
    else:
        low = f"unknown_X{scale}" if track == "unknown" else track
    halves = ("train", "valid")
    names = [f"DIV2K_{half}_HR" for half in halves] + [f"DIV2K_{half}_LR_{low}" for half in halves]
    return [Archive(name, _download(name, home)) for name in names]


def _download(name: str, home: str) -> Download:
    size, sha256 = ARCHIVES[name]
    return Download(f"{home}{name}.zip", size=size, sha256=sha256)


def prepare(
    folder: Path,
    wanted: list[Archive],
    *,
    keep_archives: bool = False,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> None:
    """Fetch and unpack archives into `folder`; what is there already is not touched.

    A transfer that breaks goes on where it stopped, at once or when called again. Unpacked pictures
    appear whole: an archive counts as unpacked once its marker `.<name>.unpacked` is written.
    Raises `DownloadError`, `OutputError`, or `DataError` for an archive that is not a zip file.
    """
    for archive in wanted:
        marker = folder / f".{archive.name}.unpacked"
        if marker.is_file():
            logger.info("%s: is there", archive.name)
            continue
        path = folder / f"{archive.name}.zip"

        def shown(done: int, total: int | None, name: str = archive.name) -> None:
            if progress is not None:
                progress(name, done, total)

        fetch(archive.download, path, progress=shown)
        _unpack(path, folder)
        marker.touch()
        if not keep_archives:
            path.unlink()


def _unpack(path: Path, folder: Path) -> None:
    """Unpack all files; each is checked against its CRC by reading it to the end."""
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                target = (folder / member.filename).resolve()
                if not target.is_relative_to(folder.resolve()):
                    raise DataError(f"{path}: holds {member.filename!r}, which lies outside")
                if not member.is_dir():
                    _unpack_member(archive, member, target)
    except (zipfile.BadZipFile, EOFError) as error:
        path.unlink(missing_ok=True)
        raise DownloadError(f"{path}: not a whole zip file ({error}); run it again") from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot unpack {path.name} ({error})") from error


def _unpack_member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, target: Path) -> None:
    if target.is_file() and target.stat().st_size == member.file_size:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.part")
    with archive.open(member) as source, part.open("wb") as file:
        shutil.copyfileobj(source, file)
    part.replace(target)


def verify(
    folder: Path,
    *,
    track: str = "bicubic",
    scale: int = 4,
    pictures: Mapping[str, int] = PICTURES,
) -> int:
    """Count and check the pairs of both halves; `DataError` lists what is missing or wrong."""
    total = 0
    for role, wanted in pictures.items():
        if role not in ("train", "valid"):
            raise UsageError(f"verify: want train or valid, got {role!r}")
        sources = find_sources(folder, scale=scale, role=role, track=track)  # type: ignore[arg-type]
        found = (problem_of(source, scale=scale) for source in sources)
        problems = [problem for problem in found if problem is not None]
        if len(sources) != wanted:
            problems.append(f"{role}: want {wanted} pictures, found {len(sources)}")
        if any(source.lr is None for source in sources):
            problems.append(f"{role}: no low-resolution pictures for scale {scale}")
        if problems:
            more = f" and {len(problems) - 3} more" if len(problems) > 3 else ""
            raise DataError(f"{folder}: {'; '.join(problems[:3])}{more}")
        total += len(sources)
    return total


__all__ = ["ARCHIVES", "TRACKS", "Archive", "archives", "prepare", "verify"]
