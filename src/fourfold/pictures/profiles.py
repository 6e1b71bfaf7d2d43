"""ICC profiles as bytes: what one describes, and the working profile made from it.

A network trained on sRGB photographs wants values with sRGB's curve. It does not want sRGB's
primaries: converting Display P3 or Adobe RGB to them would clip every colour outside. So the
working profile keeps the primaries of the picture's own profile and changes only its curve.
See docs/decisions/0030.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

_SRGB_CURVE: Final = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
"""IEC 61966-2-1 as the parameters g, a, b, c, d of a parametric curve of type 3."""

_SPACES: Final[Mapping[bytes, int]] = {b"GRAY": 1, b"RGB ": 3, b"CMYK": 4}
_PLACES: Final = {b"rXYZ", b"gXYZ", b"bXYZ"}
_CURVES: Final = (b"rTRC", b"gTRC", b"bTRC", b"kTRC")
_TABLES: Final = (b"A2B", b"B2A", b"D2B", b"B2D")
"""Tags that go before primaries and curves."""


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


__all__ = ["profile_channels", "working_profile"]
