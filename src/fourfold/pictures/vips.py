"""libvips, set up once for bounded memory, and its errors in one line."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

_LOCK: Final = threading.Lock()
_ready = False


def vips() -> Any:
    """The `pyvips` module.

    Its cache of operations is off: it would keep pictures in memory, and would give the old pixels
    of a file that has been replaced. One thread, since each has buffers as wide as the picture, and
    the network has the other cores.
    """
    global _ready  # noqa: PLW0603 - libvips has process-wide settings
    with _LOCK:
        if not _ready:
            os.environ.setdefault("VIPS_CONCURRENCY", "1")
            # What libvips warns of is an error here or harmless; it must not litter stderr.
            os.environ.setdefault("VIPS_WARNING", "0")
            logging.getLogger("pyvips").setLevel(logging.ERROR)
            import pyvips

            pyvips.cache_set_max(0)
            _ready = True
    import pyvips

    return pyvips


def reason(error: BaseException) -> str:
    """What a libvips error says of its cause: in plain words, or its last line.

    libvips keeps its messages in one place for all threads, so another thread may have taken them;
    what is left then only says which call failed.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines or lines[-1].startswith("unable to"):
        return _DAMAGED
    # libheif's messages go over several lines.
    return plain(lines[-1], " ".join(lines[-3:]))


def plain(*messages: str) -> str:
    """A decoder's message in words of people; the first as it stands where none is understood."""
    for message in messages:
        for pattern, words in _PLAIN:
            if found := re.search(pattern, message):
                return found.expand(words)
    return re.sub(r"[^\s\"']*fourfold-[^\s\"']*", "a temporary file", messages[0])


_DAMAGED: Final = "its data is damaged or ends early"
_EARLY: Final = "its data ends early"
_PLAIN: Final = (
    (r"(\w+) compression support is not configured", r"\1 compression is not supported here"),
    (r"not in a known format|is not a known file format", _DAMAGED),
    (r"Read error at .* got \d+ bytes, expected|Not enough data at", _EARLY),
    (r"[Uu]nexpected end of|premature end of|outside of file bounds|is truncated", _EARLY),
    (r"not enough image data|Cannot read full", _EARLY),
    (
        r"libpng read error|unable to parse image|Corrupt frame|Bogus Huffman|^\(\d+\.\d+\)",
        _DAMAGED,
    ),
    (r"unpack_from requires|invalid literal for int|Token too long|buffer overrun", _DAMAGED),
    (r"data stream|not identified by this driver", _DAMAGED),
)
"""Messages that say little to people, and what they mean."""


PROFILE: Final = "icc-profile-data"


def get(image: Any, name: str, default: Any = None) -> Any:
    """A field of the header, or `default`."""
    value = image.get(name) if image.get_typeof(name) else default
    return bytes(value) if isinstance(value, (bytes, memoryview)) else value


def kind(colours: int, form: str) -> str:
    """libvips's name of grey or RGB pixels in one of its formats."""
    return (("b-w", "grey16") if colours < 3 else ("srgb", "rgb16"))[form == "ushort"]


def with_fields(image: Any, fields: Mapping[str, bytes | str | int | None]) -> Any:
    """A copy that carries the fields that are not None."""
    image, kinds = image.copy(), vips().GValue
    for name, value in fields.items():
        if value is not None:
            number = kinds.gint_type if isinstance(value, int) else kinds.gstr_type
            image.set_type(kinds.blob_type if isinstance(value, bytes) else number, name, value)
    return image


def rows_of(image: Any, *, strip_bytes: int = 4_000_000) -> Iterator[tuple[int, bytes]]:
    """(first row, pixels) of strips from top to bottom: a decoder runs once, in order."""
    row = image.width * image.bands * {"uchar": 1, "ushort": 2, "float": 4}[image.format]
    count = max(1, min(image.height, strip_bytes // max(row, 1)))
    region = vips().Region.new(image)
    for top in range(0, image.height, count):
        height = min(count, image.height - top)
        yield top, region.fetch(0, top, image.width, height)


DTYPES: Final = {"uchar": "uint8", "ushort": "uint16", "float": "float32"}
"""NumPy's names of the libvips formats that pixels are taken out in."""


@contextmanager
def stoppable(image: Any, stop: threading.Event | None) -> Iterator[None]:
    """Let `stop` end a running computation of `image`: libvips then raises its error."""
    if stop is None:
        yield
        return
    image.set_progress(True)

    def check(_image: Any, _progress: Any) -> None:
        if stop.is_set():
            image.set_kill(True)

    image.signal_connect("eval", check)
    try:
        yield
    finally:
        image.set_progress(False)


__all__ = [
    "DTYPES",
    "PROFILE",
    "get",
    "kind",
    "plain",
    "reason",
    "rows_of",
    "stoppable",
    "vips",
    "with_fields",
]
