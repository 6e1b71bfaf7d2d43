"""Between a file's colours and the network's: grey or RGB with sRGB's curve, 16 bits in between."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from fourfold.pictures.profiles import profile_channels, working_profile
from fourfold.pictures.vips import vips

_DEVICE: Final = ("srgb", "rgb", "b-w", "grey16", "rgb16", "scrgb", "multiband")
"""Interpretations whose numbers are grey or RGB as they stand."""


_SPACE_NAMES: Final = {"lab": "CIELAB", "labs": "CIELAB", "labq": "CIELAB", "xyz": "CIE XYZ"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ColourPlan:
    """How colours go to the network and come back.

    `none`: the numbers as they stand. `icc`: from `source` to `working` and back. `srgb_icc`: from
    a profile (`source`, or libvips's CMYK when None) to sRGB, and there they stay. `space`: from
    a colour space without a profile (CIELAB, XYZ, HSV ...) to sRGB, and there they stay.
    """

    how: Literal["none", "icc", "srgb_icc", "space"]
    source: bytes | None = None
    working: bytes | None = None
    note: str | None = None
    keeps_profile: bool = True
    """Whether the result carries the file's profile."""

    @property
    def converts(self) -> bool:
        """Whether the network sees other numbers than the file holds."""
        return self.how != "none"


def plan_colour(interpretation: str, channels: int, profile: bytes | None) -> ColourPlan:
    """Choose for a picture with `channels` colour channels (without alpha)."""
    fits = profile is not None and profile_channels(profile) == channels
    misfit = "" if fits or not profile else "its ICC profile is damaged or of another colour space"
    if interpretation == "cmyk":
        note = f"CMYK is written as sRGB{'; ' if misfit else ''}{misfit}"
        return ColourPlan(
            how="srgb_icc", source=profile if fits else None, note=note, keeps_profile=False
        )
    if interpretation not in _DEVICE:
        name = _SPACE_NAMES.get(interpretation, interpretation)
        return ColourPlan(how="space", note=f"{name} is written as sRGB", keeps_profile=False)
    if profile is None or not fits:
        dropped = f"{misfit} and is left out" if misfit else None
        return ColourPlan(how="none", note=dropped, keeps_profile=False)
    return _plan_profile(profile, channels)


@lru_cache(maxsize=64)
def _plan_profile(profile: bytes, channels: int) -> ColourPlan:
    working = working_profile(profile)
    if working is None:
        working = _srgb_profile()
    ramp = _ramp(channels)
    try:
        there = _transform(ramp, profile, working)
        back = _transform(there, working, profile)
    except vips().Error:
        if channels == 3 and _reads(ramp, profile):
            note = "its ICC profile only reads; colours are written as sRGB"
            return ColourPlan(how="srgb_icc", source=profile, note=note, keeps_profile=False)
        return ColourPlan(
            how="none", note="its ICC profile is unusable; colours are left as stored"
        )
    numbers, seen = ramp.numpy().astype(np.float64), there.numpy().astype(np.float64)
    # Half an 8-bit step: sRGB's and Display P3's own curves need no conversion at all.
    if np.abs(numbers - seen).max() <= 0.5 * 257:
        return ColourPlan(how="none")
    if np.abs(back.numpy().astype(np.float64) - numbers).max() > 64 * 257:
        # A profile of a printer or scanner that cannot come back; better untouched than spoilt.
        return ColourPlan(
            how="none", note="its ICC profile does not invert; colours left as stored"
        )
    return ColourPlan(how="icc", source=profile, working=working)


def _reads(ramp: Any, profile: bytes) -> bool:
    try:
        with_profile(ramp, profile).icc_transform("srgb", embedded=True, depth=16).avg()
    except vips().Error:
        return False
    return True


def _ramp(channels: int) -> Any:
    """16-bit colours to try a profile on: a grey ramp, and for RGB a coarse cube."""
    steps = np.linspace(0, 65535, 18).astype(np.uint16)
    if channels == 1:
        return vips().Image.new_from_array(steps[None, :, None]).copy(interpretation="grey16")
    cube = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(18, -1, 3)
    return vips().Image.new_from_array(np.ascontiguousarray(cube)).copy(interpretation="rgb16")


def _srgb_profile() -> bytes:
    """The sRGB profile libvips carries."""
    tiny = vips().Image.black(1, 1, bands=3).copy(interpretation="srgb")
    profile: bytes = tiny.icc_transform("srgb", input_profile="srgb").get("icc-profile-data")
    return profile


def to_network(image: Any, plan: ColourPlan, *, alpha: bool) -> Any:
    """Colours as the network wants them; 16 bits when they change, else as they are."""
    if not plan.converts:
        return image
    colour, rest = _split(image, alpha)
    if plan.how == "icc":
        assert plan.source is not None
        assert plan.working is not None
        colour = _transform(colour, plan.source, plan.working)
    elif plan.how == "srgb_icc":
        held = colour if plan.source is None else with_profile(colour, plan.source)
        embedded = plan.source is not None
        colour = held.icc_transform("srgb", embedded=embedded, input_profile="cmyk", depth=16)
    else:
        colour = colour.colourspace("rgb16")
    return _join(colour, rest)


def from_network(image: Any, plan: ColourPlan, *, alpha: bool) -> Any:
    """Back to the file's own profile; only `icc` plans change anything."""
    if plan.how != "icc":
        return image
    assert plan.source is not None
    assert plan.working is not None
    colour, rest = _split(image, alpha)
    return _join(_transform(colour, plan.working, plan.source), rest)


def _split(image: Any, alpha: bool) -> tuple[Any, Any]:
    if not alpha:
        return image, None
    bands = image.bands - 1
    colour = image.extract_band(0, n=bands)
    if image.interpretation not in ("cmyk", "labs", "lab"):
        kind = ("b-w", "grey16") if bands == 1 else ("srgb", "rgb16")
        colour = colour.copy(interpretation=kind[image.format == "ushort"])
    return colour, image.extract_band(bands)


def _join(colour: Any, alpha: Any) -> Any:
    if alpha is None:
        return colour
    if alpha.format == "uchar":
        alpha = (alpha.cast("ushort") * 257).cast("ushort")
    elif alpha.format != "ushort":
        alpha = alpha.cast("ushort")
    return colour.bandjoin(alpha)


def with_profile(image: Any, profile: bytes) -> Any:
    """A copy that carries the ICC profile."""
    held = image.copy()
    held.set_type(vips().GValue.blob_type, "icc-profile-data", profile)
    return held


def _transform(image: Any, source: bytes, target: bytes) -> Any:
    """Relative colorimetric, in one step: the way over a connection space loses dark colours.

    libvips takes the target by file name only, and reads it at once.
    """
    descriptor, name = tempfile.mkstemp(suffix=".icc", prefix="fourfold-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(target)
        held = with_profile(image, source)
        return held.icc_transform(name, embedded=True, depth=16, intent="relative")
    finally:
        Path(name).unlink()


__all__ = ["ColourPlan", "from_network", "plan_colour", "to_network", "with_profile"]
