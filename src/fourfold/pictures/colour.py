"""Between a file's colours and the network's: grey or RGB with sRGB's curve, 16 bits in between.

A network trained on sRGB photographs wants values with sRGB's curve. It does not want sRGB's
primaries: converting Display P3 or Adobe RGB to them would clip every colour outside. So the
working profile keeps the primaries of the picture's own profile and changes only its curve.
See docs/decisions/0030.
"""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from fourfold.pictures.vips import PROFILE, kind, vips, with_fields

_DEVICE: Final = ("srgb", "rgb", "b-w", "grey16", "rgb16", "scrgb", "multiband")
"""Interpretations whose numbers are grey or RGB as they stand."""

_SPACE_NAMES: Final = {"lab": "CIELAB", "labs": "CIELAB", "labq": "CIELAB", "xyz": "CIE XYZ"}

_STEP: Final = 257
"""Of 8 bits, among 16."""

_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""IEC 61966-2-1 as the parameters g, a, b, c, d of a parametric curve of type 3."""

_SPACES: Final[Mapping[bytes, int]] = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
_PLACES: Final = {b"rXYZ", b"gXYZ", b"bXYZ"}
_CURVES: Final = (b"rTRC", b"gTRC", b"bTRC", b"kTRC")
_TABLES: Final = (b"A2B", b"B2A", b"D2B", b"B2D")
"""Tags that go before primaries and curves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourPlan:
    """How colours go to the network and come back.

    `none`: the numbers as they stand. `icc`: from `source` to `working` and back. `srgb_icc`: from
    a profile (`source`, or libvips's CMYK when None) to sRGB, and there they stay. `space`: from
    a colour space without a profile (CIELAB, XYZ, HSV ...) to sRGB, and there they stay.
    """

    how: Literal["none", "icc", "srgb_icc", "space"] = "none"
    source: bytes | None = None
    working: bytes | None = None
    note: str | None = None
    keeps_profile: bool = False
    """Whether the result carries the file's profile."""


def plan_colour(interpretation: str, channels: int, profile: bytes | None) -> ColourPlan:
    """Choose for a picture with `channels` colour channels (without alpha)."""
    fits = bool(profile) and profile_channels(profile or b"") == channels
    misfit = "" if fits or not profile else "its ICC profile is damaged or of another colour space"
    if interpretation == "cmyk":
        note = f"CMYK is written as sRGB{'; ' if misfit else ''}{misfit}"
        return ColourPlan(how="srgb_icc", source=profile if fits else None, note=note)
    if interpretation not in _DEVICE:
        name = _SPACE_NAMES.get(interpretation, interpretation)
        return ColourPlan(how="space", note=f"{name} is written as sRGB")
    if profile is None or not fits:
        return ColourPlan(note=f"{misfit} and is left out" if misfit else None)
    return _plan_profile(profile, channels)


@lru_cache(maxsize=64)
def _plan_profile(profile: bytes, channels: int) -> ColourPlan:
    """Try it on 16-bit colours: a grey ramp, or a coarse cube."""
    working = working_profile(profile) or vips().Image.profile_load("srgb")
    steps = np.linspace(0, 65535, 18).astype(np.uint16)
    grid = np.stack(np.meshgrid(*[steps] * channels), axis=-1).reshape(1, -1, channels)
    shown = kind(channels, "ushort")
    colours = vips().Image.new_from_array(np.ascontiguousarray(grid), interpretation=shown)
    try:
        there = _transform(colours, profile, working)
        back = _transform(there, working, profile)
    except vips().Error:
        note = "its ICC profile is unusable; colours are left as stored"
        return ColourPlan(note=note, keeps_profile=True)
    # Half an 8-bit step: sRGB's and Display P3's own curves need no conversion at all.
    if _furthest(there, colours) <= 0.5 * _STEP:
        return ColourPlan(keeps_profile=True)
    if _furthest(back, colours) > 64 * _STEP:
        # A profile of a printer or scanner that cannot come back; better untouched than spoilt.
        note = "its ICC profile does not invert; colours left as stored"
        return ColourPlan(note=note, keeps_profile=True)
    return ColourPlan(how="icc", source=profile, working=working, keeps_profile=True)


def _furthest(one: Any, other: Any) -> float:
    return float((one - other).abs().max())


def profile_channels(profile: bytes) -> int | None:
    """Colour channels a profile is for: 1, 3, 4; None for others and for damaged profiles."""
    if len(profile) < 132 or profile[36:40] != b"acsp":
        return None
    return _SPACES.get(profile[16:20])


def working_profile(profile: bytes) -> bytes | None:
    """The profile with its primaries and sRGB's curve; None unless it is grey or matrix RGB."""
    curve = b"para\0\0\0\0" + struct.pack(">HH", 3, 0)
    curve += b"".join(struct.pack(">i", round(number * 65536)) for number in _SRGB_CURVE)
    changed = bytearray(profile.ljust((len(profile) + 3) // 4 * 4, b"\0"))
    names = set[bytes]()
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        for place in range(132, 132 + 12 * min(count, 200), 12):
            name, offset, size = struct.unpack_from(">4sII", profile, place)
            if offset + size > len(profile):
                return None
            names.add(name)
            if name in _CURVES:
                struct.pack_into(">II", changed, place + 4, len(changed), len(curve))
            elif name[:3] in _TABLES:
                changed[place : place + 4] = b"none"
    except struct.error:
        return None
    changed += curve
    struct.pack_into(">I", changed, 0, len(changed))
    changed[84:100] = bytes(16)  # its checksum
    grey = profile_channels(profile) == 1
    return bytes(changed) if grey or (names >= _PLACES and b"A2B0" not in names) else None


def to_network(image: Any, plan: ColourPlan, *, alpha: bool) -> Any:
    """Colours as the network wants them; 16 bits when they change, else as they are."""
    if plan.how == "none":
        return image
    colour, rest = _split(image, alpha)
    if plan.source is not None and plan.working is not None:
        colour = _transform(colour, plan.source, plan.working)
    elif plan.how == "srgb_icc":
        colour = with_fields(colour, {PROFILE: plan.source})
        embedded = plan.source is not None
        colour = colour.icc_transform("srgb", embedded=embedded, input_profile="cmyk", depth=16)
    else:
        colour = colour.colourspace("rgb16")
    return _join(colour, rest)


def from_network(image: Any, plan: ColourPlan, *, alpha: bool) -> Any:
    """Back to the file's own profile; only `icc` plans change anything."""
    if plan.source is None or plan.working is None:
        return image
    colour, rest = _split(image, alpha)
    return _join(_transform(colour, plan.working, plan.source), rest)


def _split(image: Any, alpha: bool) -> tuple[Any, Any]:
    if not alpha:
        return image, None
    bands = image.bands - 1
    colour = image.extract_band(0, n=bands)
    if image.interpretation not in ("cmyk", "labs", "lab"):
        colour = colour.copy(interpretation=kind(bands, image.format))
    return colour, image.extract_band(bands)


def _join(colour: Any, alpha: Any) -> Any:
    if alpha is None:
        return colour
    return colour.bandjoin((alpha * (_STEP if alpha.format == "uchar" else 1)).cast("ushort"))


def _transform(image: Any, source: bytes, target: bytes) -> Any:
    """Relative colorimetric, in one step: the way over a connection space loses dark colours.

    libvips takes the target by file name only, and reads it at once.
    """
    descriptor, name = tempfile.mkstemp(suffix=".icc", prefix="fourfold-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(target)
        held = with_fields(image, {PROFILE: source})
        return held.icc_transform(name, embedded=True, depth=16, intent="relative")
    finally:
        Path(name).unlink()


__all__ = [
    "ColourPlan",
    "from_network",
    "plan_colour",
    "profile_channels",
    "to_network",
    "working_profile",
]
