"""Formats libvips does not decode here: BMP, ICO, TGA and others by Pillow, HEIC by libheif, JPEG
2000 with more than 8 bits by OpenJPEG. Each gives its size before any pixel is decoded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import numpy.typing as npt

from fourfold.errors import InputError, MissingExtra
from fourfold.pictures.formats import format_of_start
from fourfold.pictures.tiff import is_lab
from fourfold.pictures.vips import plain, vips

Array = npt.NDArray[Any]

CHANNELS: Final = {"L": 1, "LA": 2, "RGB": 3, "RGBA": 4, "CMYK": 4}


@dataclass(frozen=True, slots=True, kw_only=True)
class Decoder:
    """One still picture, described."""

    path: Path
    name: str
    size: tuple[int, int]
    """Width and height."""
    mode: str
    """One of `CHANNELS`."""
    depth: int = 8
    load: Callable[[], Any]
    fields: Mapping[str, bytes | None]
    """By libvips's names."""
    dpi: float | None = None
    notes: tuple[str, ...] = ()

    def decode(self) -> Array:
        """Pixels as `(H, W, 1..4)` uint8 or uint16; `InputError` for broken ones."""
        try:
            pixels = np.asarray(self.load(), np.uint16 if self.depth == 16 else np.uint8)
        except Exception as error:
            raise _broken(self.path, self.name, error) from error
        return np.ascontiguousarray(pixels.reshape(*pixels.shape[:2], CHANNELS[self.mode]))


_PLUGINS: Final[Mapping[str, str]] = {
    **{"bmp": "Bmp", "ico": "Ico", "jp2": "Jpeg2K", "dds": "Dds", "pnm": "Ppm", "pcx": "Pcx"},
    **{"psd": "Psd", "icns": "Icns", "qoi": "Qoi", "tga": "Tga", "tiff": "Tiff"},
}
"""Pillow's reader of each format: called directly, so that no other one guesses."""

_MODES: Final = {"1": "L", "P": "RGB", "PA": "RGBA", "YCbCr": "RGB", "RGBX": "RGB", "LAB": "RGB"}
"""What Pillow's modes are converted to; others are taken as they are."""


def find_decoder(file: BinaryIO, *, path: Path) -> Decoder | None:
    """The decoder for a file libvips does not know; None when nobody here knows it.

    Raises `InputError` for a file that claims a format but is broken.
    """
    file.seek(0)
    kind = format_of_start(file.read(64))
    if kind is None and path.suffix.lower() == ".tga":
        kind = "tga"  # the one format without a mark of its own
    if kind == "heic":
        return _heif(file, path)
    if kind is None or kind not in _PLUGINS or (kind == "tiff" and not is_lab(file)):
        return None
    file.seek(0)
    try:
        reader = importlib.import_module(f"PIL.{_PLUGINS[kind]}ImagePlugin")
        image = getattr(reader, f"{_PLUGINS[kind]}ImageFile")(file)
    except Exception as error:  # Pillow's readers raise whatever a broken header leads to
        raise _broken(path, kind, error) from error
    if kind == "tiff" and image.mode != "LAB":
        return None  # libvips has refused it already, and says why
    return _pillow(image, file, path, kind)


def _pillow(image: Any, file: BinaryIO, path: Path, kind: str) -> Decoder:
    mode, depth, notes = _mode_of(image), 8, list[str]()
    bits = _jp2_bits(file) if kind == "jp2" else 8

    def load() -> Any:
        return image if depth == 16 or image.mode == mode else image.convert(mode)

    if image.mode == "LAB":
        load, notes = partial(_lab, image), ["CIELAB is written as sRGB"]
        notes += [f"further pages in it are left out: {n}"] if (n := image.n_frames - 1) else []
    elif bits > 8:
        depth, load = 16, _deep_jp2(file, path, bits)
    elif image.mode.startswith("I"):
        depth = 16
    if mode not in CHANNELS:
        raise InputError(f"{path}: {kind} with {image.mode} pixels; want 8 or 16 bits per channel")
    dpi = float(image.info.get("dpi", (0, 0))[0])
    return Decoder(
        path=path,
        name=kind,
        size=image.size,
        mode=mode,
        depth=depth,
        load=load,
        fields={"icc-profile-data": image.info.get("icc_profile")},
        dpi=dpi if dpi > 1 else None,
        notes=tuple(notes),
    )


def _broken(path: Path, kind: str, error: BaseException) -> InputError:
    if isinstance(error.__cause__ or error, KeyError):  # Pillow's tables of modes
        return InputError(f"{path}: this kind of {kind} is not read here; want 8 bits per channel")
    words = plain(" ".join(str(error).split()) or type(error).__name__)
    return InputError(f"{path}: not a readable picture ({kind}: {words})")


def _mode_of(image: Any) -> str:
    if image.mode.startswith("I"):  # 16 bits
        return "L"
    clear = "transparency" in image.info or getattr(image.palette, "mode", "") == "RGBA"
    return "RGBA" if image.mode == "P" and clear else _MODES.get(image.mode, str(image.mode))


def _lab(image: Any) -> Array:
    """CIELAB with 8 bits per channel, which libvips writes but cannot read, as sRGB."""
    stored = np.asarray(image)
    lightness = stored[..., :1].astype(np.float32) * np.float32(100 / 255)
    lab = np.concatenate([lightness, stored[..., 1:].view(np.int8)], axis=2, dtype=np.float32)
    pixels: Array = (
        vips().Image.new_from_array(lab, interpretation="lab").colourspace("srgb").numpy()
    )
    return pixels


def _jp2_bits(file: BinaryIO) -> int:
    """Bits per channel as the SIZ segment has them (ITU-T T.800, A.5.1); 8 for signed ones."""
    file.seek(0)
    head = file.read(65536)
    bits = head[head.find(b"\xff\x4f\xff\x51") + 42 :][:1] or b"\7"
    return bits[0] + 1 if bits[0] < 16 else 8


def _deep_jp2(file: BinaryIO, path: Path, bits: int) -> Callable[[], Any]:
    """JPEG 2000 beyond 8 bits per channel, which Pillow would cut down."""
    try:
        openjpeg: Any = importlib.import_module("openjpeg")
    except ImportError as error:
        missing = MissingExtra("JPEG 2000 with more than 8 bits per channel", "jp2")
        raise InputError(f"{path}: {missing}") from error
    file.seek(0)
    content = file.read()
    return lambda: openjpeg.decode(content).astype(np.uint32) * 65535 // ((1 << bits) - 1)


def _heif(file: BinaryIO, path: Path) -> Decoder:
    pi_heif: Any = importlib.import_module("pi_heif")
    file.seek(0)
    try:
        content = pi_heif.open_heif(file, convert_hdr_to_8bit=False)
    except Exception as error:
        raise _broken(path, "heic", error) from error
    mode, _, deep = content.mode.partition(";")
    if mode not in CHANNELS:
        raise InputError(f"{path}: heic with {content.mode} pixels; want RGB or grey")
    names = {"icc-profile-data": "icc_profile", "exif-data": "exif", "xmp-data": "xmp"}
    others = len(content) - 1
    return Decoder(
        path=path,
        name="heic",
        size=content.size,
        mode=mode,
        depth=16 if deep else 8,
        load=lambda: content,
        fields={field: content.info.get(name) for field, name in names.items()},
        notes=(f"further pictures in it are left out: {others}",) if others else (),
    )


__all__ = ["CHANNELS", "Decoder", "find_decoder"]
