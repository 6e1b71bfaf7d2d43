"""Formats libvips does not decode here: BMP, ICO, TGA and others by Pillow, HEIC by libheif, JPEG
2000 with more than 8 bits by OpenJPEG. Each gives its size before any pixel is decoded.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import InputError
from fourfold.pictures.damage import is_lab
from fourfold.pictures.vips import plain, vips

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """One still picture, described; `decode` reads its pixels as `(H, W, 1..4)` uint8 or uint16."""

    name: str
    width: int
    height: int
    channels: int
    alpha: bool
    depth: int
    decode: Callable[[], Array]
    icc: bytes | None = None
    exif: bytes | None = None
    xmp: bytes | None = None
    dpi: float | None = None
    cmyk: bool = False
    notes: tuple[str, ...] = ()


_PLUGINS: Final[Mapping[str, tuple[str, str]]] = {
    "bmp": ("BmpImagePlugin", "BmpImageFile"),
    "ico": ("IcoImagePlugin", "IcoImageFile"),
    "jp2": ("Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "dds": ("DdsImagePlugin", "DdsImageFile"),
    "pnm": ("PpmImagePlugin", "PpmImageFile"),
    "pcx": ("PcxImagePlugin", "PcxImageFile"),
    "psd": ("PsdImagePlugin", "PsdImageFile"),
    "icns": ("IcnsImagePlugin", "IcnsImageFile"),
    "qoi": ("QoiImagePlugin", "QoiImageFile"),
    "tga": ("TgaImagePlugin", "TgaImageFile"),
}
"""Pillow's reader of each format: called directly, so that no other one guesses."""

_MAGIC: Final[tuple[tuple[bytes, str], ...]] = (
    (b"BM", "bmp"),
    (b"\0\0\1\0", "ico"),
    (b"\0\0\0\x0cjP  \r\n", "jp2"),
    (b"\xff\x4f\xff\x51", "jp2"),
    (b"DDS ", "dds"),
    (b"8BPS", "psd"),
    (b"icns", "icns"),
    (b"qoif", "qoi"),
    (b"\x0a\x05\x01", "pcx"),
    *((b"P%d" % kind, "pnm") for kind in range(1, 7)),
)

_HEIF_BRANDS: Final = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

_MODES: Final = {"1": "L", "P": "RGB", "PA": "RGBA", "YCbCr": "RGB", "RGBX": "RGB", "LAB": "RGB"}
"""What Pillow's modes are converted to; others are taken as they are."""

_CHANNELS: Final = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4, "I;16": 1}


def find_decoder(file: BinaryIO, *, path: Path) -> Decoder | None:
    """The decoder for a file libvips does not know; None when nobody here knows it.

    Raises `InputError` for a file that claims a format but is broken.
    """
    file.seek(0)
    head = file.read(64)
    file.seek(0)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS:
        return _heif(file, path)
    kind = next((kind for magic, kind in _MAGIC if head.startswith(magic)), None)
    if kind is None and head.startswith((b"II*\0", b"MM\0*")):
        return _lab_tiff(file, path)
    if kind is None and path.suffix.lower() == ".tga":
        kind = "tga"  # the one format without a mark of its own
    if kind is None:
        return None
    deep = _deep_jp2(file, path) if kind == "jp2" else None
    return deep or _pillow(file, path, kind)


def _broken(path: Path, kind: str, error: BaseException) -> InputError:
    if isinstance(error.__cause__ or error, KeyError):  # Pillow's tables of modes
        return InputError(f"{path}: this kind of {kind} is not read here; want 8 bits per channel")
    words = plain(" ".join(str(error).split()) or type(error).__name__)
    return InputError(f"{path}: not a readable picture ({kind}: {words})")


def _pillow(file: BinaryIO, path: Path, kind: str) -> Decoder:
    module, name = _PLUGINS[kind]
    try:
        reader = getattr(importlib.import_module(f"PIL.{module}"), name)
        image = reader(file)
    except Exception as error:  # Pillow's readers raise whatever a broken header leads to
        raise _broken(path, kind, error) from error
    mode = _mode_of(image)
    if mode not in _CHANNELS:
        raise InputError(f"{path}: {kind} with {image.mode} pixels; want 8 or 16 bits per channel")

    def decode() -> Array:
        try:
            loaded = image if image.mode == mode else image.convert(mode)
            pixels = np.asarray(loaded)
        except Exception as error:
            raise _broken(path, kind, error) from error
        if mode == "I;16":
            pixels = pixels.astype(np.uint16)
        return pixels.reshape(*pixels.shape[:2], _CHANNELS[mode])

    return Decoder(
        name=kind,
        width=image.size[0],
        height=image.size[1],
        channels=_CHANNELS[mode],
        alpha=mode in ("LA", "RGBA"),
        depth=16 if mode == "I;16" else 8,
        decode=decode,
        icc=image.info.get("icc_profile"),
        dpi=_dpi(image),
        cmyk=mode == "CMYK",
    )


def _lab_tiff(file: BinaryIO, path: Path) -> Decoder | None:
    """CIELAB with 8 bits per channel, which libvips writes but cannot read; None for other TIFFs."""
    if not is_lab(file):
        return None
    try:
        image = importlib.import_module("PIL.TiffImagePlugin").TiffImageFile(file)
        others = image.n_frames - 1
    except Exception:  # libvips has refused it already, and says why
        return None
    if image.mode != "LAB":
        return None

    def decode() -> Array:
        try:
            stored = np.asarray(image)
        except Exception as error:
            raise _broken(path, "tiff", error) from error
        lightness = stored[..., :1].astype(np.float32) * np.float32(100 / 255)
        lab = np.concatenate([lightness, stored[..., 1:].view(np.int8)], axis=2)
        held = vips().Image.new_from_array(np.ascontiguousarray(lab, np.float32))
        pixels: Array = held.copy(interpretation="lab").colourspace("srgb").numpy()
        return pixels

    notes = ["CIELAB is written as sRGB"]
    if others:
        notes.append(f"further pages in it are left out: {others}")
    return Decoder(
        name="tiff",
        width=image.size[0],
        height=image.size[1],
        channels=3,
        alpha=False,
        depth=8,
        decode=decode,
        dpi=_dpi(image),
        notes=tuple(notes),
    )


def _dpi(image: Any) -> float | None:
    dpi = image.info.get("dpi")
    return float(dpi[0]) if dpi and float(dpi[0]) > 1 else None


def _mode_of(image: Any) -> str:
    if image.mode == "P" and "transparency" in image.info:
        return "RGBA"
    if image.mode == "P" and image.palette is not None and image.palette.mode == "RGBA":
        return "RGBA"
    if image.mode.startswith("I;16") or image.mode == "I":
        return "I;16"
    return _MODES.get(image.mode, str(image.mode))


def _deep_jp2(file: BinaryIO, path: Path) -> Decoder | None:
    """JPEG 2000 beyond 8 bits per channel, which Pillow would cut down."""
    openjpeg: Any = importlib.import_module("openjpeg")
    content = file.read()
    file.seek(0)
    try:
        facts = openjpeg.get_parameters(content)
    except Exception as error:
        raise _broken(path, "jp2", error) from error
    channels, precision = facts["samples_per_pixel"], facts["precision"]
    if precision <= 8 or channels not in (1, 2, 3, 4) or facts["is_signed"] or precision > 16:
        return None

    def decode() -> Array:
        try:
            pixels = openjpeg.decode(content)
        except Exception as error:
            raise _broken(path, "jp2", error) from error
        wide = pixels.astype(np.uint32) * 65535 // ((1 << precision) - 1)
        deep: Array = wide.astype(np.uint16).reshape(*pixels.shape[:2], channels)
        return deep

    return Decoder(
        name="jp2",
        width=facts["columns"],
        height=facts["rows"],
        channels=channels,
        alpha=channels in (2, 4),
        depth=16,
        decode=decode,
    )


def _heif(file: BinaryIO, path: Path) -> Decoder:
    pi_heif: Any = importlib.import_module("pi_heif")
    try:
        content = pi_heif.open_heif(file, convert_hdr_to_8bit=False)
    except Exception as error:
        raise _broken(path, "heic", error) from error
    others = len(content) - 1
    mode, _, deep = content.mode.partition(";")
    info = content.info
    if mode not in _CHANNELS:
        raise InputError(f"{path}: heic with {content.mode} pixels; want RGB or grey")

    def decode() -> Array:
        try:
            pixels = np.asarray(content)
        except Exception as error:
            raise _broken(path, "heic", error) from error
        return pixels.reshape(*pixels.shape[:2], _CHANNELS[mode])

    return Decoder(
        name="heic",
        width=content.size[0],
        height=content.size[1],
        channels=_CHANNELS[mode],
        alpha=mode in ("LA", "RGBA"),
        depth=16 if deep else 8,
        decode=decode,
        icc=info.get("icc_profile"),
        exif=info.get("exif"),
        xmp=info.get("xmp"),
        notes=(f"further pictures in it are left out: {others}",) if others else (),
    )


def regular_file(path: Path) -> BinaryIO:
    """`path` opened for reading; `InputError` for what is no regular, readable, filled file.

    Pipes and devices are refused without being opened: opening one can wait for ever.
    """
    try:
        if not path.exists():
            hint = "a link that leads nowhere" if path.is_symlink() else "no such file"
            raise InputError(f"{path}: {hint}")
        if path.is_dir():
            os.scandir(path).close()
            raise InputError(f"{path}: is a folder, want a picture")
        if not path.is_file():
            raise InputError(f"{path}: is a pipe or device; want a regular file (or - for stdin)")
        file = path.open("rb")
        if os.fstat(file.fileno()).st_size == 0:
            file.close()
            raise InputError(f"{path}: is empty (0 bytes)")
    except OSError as error:
        raise InputError(f"{path}: cannot read ({error.strerror or error})") from error
    except ValueError as error:  # a NUL in the name
        raise InputError(f"{str(path)!r}: not a usable file name") from error
    return file


__all__ = ["Decoder", "find_decoder", "regular_file"]
