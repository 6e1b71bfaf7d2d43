"""Bytes of strangers: changed where understood, never a crash."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fourfold.pictures.colour import profile_channels, working_profile
from fourfold.pictures.metadata import enlarged_exif
from fourfold.pictures.tiff import only_first_is_full


def block(order: str) -> bytes:
    """Orientation 6, 300 dpi, a thumbnail directory."""
    mark = b"II*\0" if order == "<" else b"MM\0*"
    entries = struct.pack(order + "HHIHH", 0x0112, 3, 1, 6, 0)
    entries += struct.pack(order + "HHII", 0x011A, 5, 1, 38)
    head = b"Exif\0\0" + mark + struct.pack(order + "I", 8)
    directory = struct.pack(order + "H", 2) + entries + struct.pack(order + "I", 46)
    return head + directory + struct.pack(order + "II", 300, 1) + b"thumbnail"


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("bare", [False, True])
def test_exif_is_changed_in_place(order: str, bare: bool) -> None:
    before = block(order)[6:] if bare else block(order)
    after = enlarged_exif(before, 2.5)
    assert len(after) == len(before)
    start = 0 if bare else 6
    assert struct.unpack_from(order + "H", after, start + 18) == (1,)
    assert struct.unpack_from(order + "I", after, start + 34) == (0,)
    assert struct.unpack_from(order + "II", after, start + 38) == (750, 1)


@settings(deadline=None)
@given(st.binary(max_size=300), st.integers(0, 80), st.booleans())
def test_any_bytes(noise: bytes, cut: int, append: bool) -> None:
    import io

    for content in (noise, block("<")[:cut] + noise, noise + block(">") if append else noise):
        assert len(enlarged_exif(content, 4)) == len(content)
        assert profile_channels(content) in (None, 1, 3, 4)
        assert only_first_is_full(io.BytesIO(content.ljust(16)), 3) in (True, False)
        working_profile(content.ljust(132, b"\0"))
