"""ICC profiles as bytes: what one describes, and the working profile made from it.

A network trained on sRGB photographs wants values with sRGB's curve. It does not want sRGB's
primaries: converting Display P3 or Adobe RGB to them would clip every colour outside. So the
working profile keeps the primaries of the picture's own profile and changes only its curve.
See docs/decisions/0030.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

_D50: Final = (0.9642, 1.0, 0.8249)
"""White of the profile connection space (ICC.1:2010, 7.2.16)."""

_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""IEC 61966-2-1 as the parameters g, a, b, c, d of a parametric curve of type 3."""

_SPACES: Final[Mapping[bytes, int]] = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}


def profile_channels(profile: bytes) -> int | None:
    """Colour channels a profile is for: 1, 3, 4; None for others and for damaged profiles."""
    if len(profile) < 132 or profile[36:40] != b"acsp":
        return None
    return _SPACES.get(profile[16:20])


def working_profile(profile: bytes) -> bytes | None:
    """The profile with its primaries and sRGB's curve; None unless it is grey or matrix RGB."""
    if profile_channels(profile) == 1:
        return _build(b"GRAY", {b"kTRC": _curve()})
    tags = _tags(profile)
    if b"A2B0" in tags or not {b"rXYZ", b"gXYZ", b"bXYZ"} <= tags.keys():
        return None
    primaries = {name: tags[name] for name in (b"rXYZ", b"gXYZ", b"bXYZ")}
    curves = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), _curve())
    return _build(b"RGB ", {**primaries, **curves})


def marked_profile(chromaticities: Sequence[float] | None, gamma: float | None) -> bytes:
    """RGB with x and y of red, green, blue and white, or grey when None; sRGB's curve when None.

    Raises `ValueError` for places that make no colour space.
    """
    name = {b"desc": _text("colours the picture was marked with")}
    curve = _curve() if gamma is None else _gamma_curve(gamma)
    if chromaticities is None:
        return _build(b"GRAY", {**name, b"kTRC": curve})
    try:
        columns = _to_d50(chromaticities).T
    except (np.linalg.LinAlgError, ZeroDivisionError) as error:
        raise ValueError("no colour space") from error
    if not np.isfinite(columns).all() or np.abs(columns).max() > 10:
        raise ValueError("no colour space")
    tags = {
        tag: b"XYZ \0\0\0\0" + b"".join(map(_fixed, column))
        for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True)
    }
    return _build(b"RGB ", {**name, **tags, **dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)})


_BRADFORD: Final = np.array(
    [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]]
)
"""From XYZ to the responses that are scaled to change white (ICC.1:2010, annex E)."""


def _to_d50(chromaticities: Sequence[float]) -> npt.NDArray[np.float64]:
    """The XYZ of red, green and blue, in columns, seen under the white of the connection space."""
    pairs = zip(chromaticities[::2], chromaticities[1::2], strict=True)
    places = np.array([(x / y, 1.0, (1 - x - y) / y) for x, y in pairs]).T
    white = places[:, 3]
    colours = places[:, :3] * np.linalg.solve(places[:, :3], white)
    scale = np.diag((_BRADFORD @ _D50) / (_BRADFORD @ white))
    adapted: npt.NDArray[np.float64] = np.linalg.inv(_BRADFORD) @ scale @ _BRADFORD @ colours
    return adapted


def _tags(profile: bytes) -> dict[bytes, bytes]:
    """Tag signature -> data; empty for a damaged table."""
    try:
        (count,) = struct.unpack_from(">I", profile, 128)
        found = {}
        for i in range(min(count, 200)):
            name, offset, size = struct.unpack_from(">4sII", profile, 132 + 12 * i)
            if offset + size > len(profile):
                return {}
            found[name] = profile[offset : offset + size]
    except struct.error:
        return {}
    return found


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def _curve() -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + b"".join(map(_fixed, _SRGB_CURVE))


def _gamma_curve(gamma: float) -> bytes:
    return b"para\0\0\0\0" + struct.pack(">HH", 0, 0) + _fixed(gamma)


def _text(text: str) -> bytes:
    content = text.encode("utf-16-be")
    return (
        b"mluc\0\0\0\0" + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(content), 28) + content
    )


def _build(space: bytes, tags: Mapping[bytes, bytes]) -> bytes:
    """A display profile of version 4.2 with the connection space XYZ."""
    white = b"XYZ \0\0\0\0" + b"".join(map(_fixed, _D50))
    everything = {
        b"desc": _text("fourfold working space"),
        b"cprt": _text("no copyright"),
        b"wtpt": white,
        **tags,
    }
    table, body = b"", b""
    start = 132 + 12 * len(everything)
    for name, data in everything.items():
        padded = data + b"\0" * (-len(data) % 4)
        table += struct.pack(">4sII", name, start + len(body), len(data))
        body += padded
    size = start + len(body)
    header = struct.pack(
        ">I4sI4s4s4s12s4s4sI4s4sQI",
        *(size, b"\0\0\0\0", 0x04200000, b"mntr", space, b"XYZ ", b"\x07\xea\0\1\0\1" + b"\0" * 6),
        *(b"acsp", b"\0\0\0\0", 0, b"\0\0\0\0", b"\0\0\0\0", 0, 0),
    )
    header += white[8:20] + b"\0" * 4
    header += b"\0" * (128 - len(header))
    return header + struct.pack(">I", len(everything)) + table + body


__all__ = ["marked_profile", "profile_channels", "working_profile"]
