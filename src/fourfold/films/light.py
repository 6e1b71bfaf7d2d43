"""How bright an HDR film is: the mastering display (SMPTE ST 2086) and the light of its content."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

_CHROMA_UNIT: Final = 50_000
_LIGHT_UNIT: Final = 10_000
"""x264 and x265 count in the units of ITU-T H.265, D.3.28; SVT-AV1 takes decimal numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """What HDR10 says of a film beside its transfer function."""

    display: tuple[Fraction, ...] | None
    """CIE 1931 x and y of red, green, blue and white, then least and most candela a square metre."""
    content: tuple[int, int] | None
    """Most light of any pixel and of any frame's average, in the same unit."""

    def of(self, codec: str) -> list[str]:
        """Parameters of the encoder of `h264`, `hevc` or `av1`."""
        display, content = {
            "h264": ("mastering-display", "cll"),
            "hevc": ("master-display", "max-cll"),
            "av1": ("mastering-display", "content-light"),
        }[codec]
        parameters = []
        if self.display is not None:
            parameters.append(f"{display}={self._display(exact=codec != 'av1')}")
        if self.content is not None:
            parameters.append(f"{content}={self.content[0]},{self.content[1]}")
        return parameters

    def _display(self, *, exact: bool) -> str:
        *colours, least, most = self.display or ()
        if exact:
            numbers = [str(round(value * _CHROMA_UNIT)) for value in colours]
            numbers += [str(round(value * _LIGHT_UNIT)) for value in (most, least)]
        else:
            numbers = [f"{float(value):.6f}" for value in (*colours, most, least)]
        red, green, blue, white, light = (",".join(numbers[at : at + 2]) for at in range(0, 10, 2))
        return f"G({green})B({blue})R({red})WP({white})L({light})"


def light_of(frame: Any) -> Light | None:
    """What a decoded frame says of its light; None when it says nothing.

    The layouts are those of FFmpeg's AVMasteringDisplayMetadata and AVContentLightMetadata.
    """
    display: tuple[Fraction, ...] | None = None
    content: tuple[int, int] | None = None
    for data in frame.side_data:
        if data.type.name == "MASTERING_DISPLAY_METADATA":
            *numbers, has_colours, has_light = struct.unpack("=22i", bytes(data)[:88])
            if has_colours and has_light:
                pairs = zip(numbers[::2], numbers[1::2], strict=True)
                display = tuple(Fraction(above, below or 1) for above, below in pairs)
        elif data.type.name == "CONTENT_LIGHT_LEVEL":
            most, average = struct.unpack("=2I", bytes(data)[:8])
            content = (most, average)
    return None if display is None and content is None else Light(display=display, content=content)


__all__ = ["Light", "light_of"]
