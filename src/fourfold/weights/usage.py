"""What a model needs when it is used, as its file says it."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from fourfold.errors import ModelError

PURPOSES: Final = ("clean", "photo")
BORDER: Final = 5
"""LR pixels mirrored beyond the edge of the picture: a network that pads with zeros paints marks at
the edges of dark pictures (docs/decisions/0004)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """How a network is meant to be used; the defaults are those of files that do not say."""

    purpose: str = "clean"
    """`clean`: pictures without noise and compression; `photo`: removes both."""
    consistency: bool = True
    """Whether the result is made to agree with the input; not where the input's faults are what
    the network removes."""
    shave: int = BORDER
    """LR pixels mirrored around the picture and cut off again, where the consistency step is not
    asked for or against by hand."""
    degradations: tuple[str, ...] = ("bicubic",)
    """What the low resolution it learned from was made by."""
    clean: str = ""
    """Of a photo model: the bundled model of its shape that removes nothing; see `--denoise`."""


USUAL: Final = Usage()
"""Of a file that does not say."""


def write_usage(usage: Usage) -> str:
    """The text for a model file."""
    return json.dumps(asdict(usage), sort_keys=True)


def read_usage(text: str, *, source: str) -> Usage:
    """The usage in `text`; `ModelError` naming `source` for anything else. Unknown keys are left out."""
    try:
        values = {k: v for k, v in json.loads(text).items() if k in Usage.__dataclass_fields__}
        usage = Usage(**{**values, "degradations": tuple(values.get("degradations", ("bicubic",)))})
    except (ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{source}: unreadable usage of the model ({error})") from error
    if (
        usage.purpose not in PURPOSES
        or not isinstance(usage.consistency, bool)
        or not isinstance(usage.shave, int)
        or not 0 <= usage.shave <= 64
        or not isinstance(usage.clean, str)
    ):
        raise ModelError(f"{source}: want a usage for {' or '.join(PURPOSES)}, got {text}")
    return usage


__all__ = ["BORDER", "PURPOSES", "USUAL", "Usage", "read_usage", "write_usage"]
