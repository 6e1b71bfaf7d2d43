"""What a client may ask for: the command line's options that concern the result, not the machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from fourfold.engine.choose import AUTO
from fourfold.errors import UsageError, option
from fourfold.films.probe import has_film_suffix
from fourfold.jobs.request import Request, unknown_option
from fourfold.server.settings import Settings
from fourfold.weights.zoo import BUNDLED

_PICTURES: Final = (
    *("model", "scale", "fit", "texture", "denoise", "tta", "consistency", "ext", "quality"),
)
_FILMS: Final = ("codec", "crf", "preset", "start", "end", "frames", "preview")
MODELS: Final = (AUTO, *BUNDLED)
"""Names only: a path would let strangers open files of this machine."""

_FIELDS: Final[dict[str, Any]] = {
    name: (Request.model_fields[name].annotation, Request.model_fields[name])
    for name in (*_PICTURES, *_FILMS)
}
_FIELDS["model"] = (
    Literal[MODELS],
    Field(AUTO, description=Request.model_fields["model"].description),
)
Options: Final[type[BaseModel]] = create_model(
    "Options", __config__=ConfigDict(extra="forbid", protected_namespaces=()), **_FIELDS
)
"""For the OpenAPI document; `checked` asks `Request` itself."""


def parse_options(text: str) -> dict[str, Any]:
    """The JSON object a client sends; `UsageError` for anything else."""
    try:
        options = json.loads(text) if text.strip() else {}
    except ValueError as error:
        raise UsageError(f"options: want a JSON object ({error})") from error
    except RecursionError as error:
        raise UsageError("options: want a flat JSON object, got a deep one") from error
    return checked_names(options)


def checked_names(options: Any) -> dict[str, Any]:
    """`UsageError` for what no client may ask for."""
    if not isinstance(options, dict):
        raise UsageError(f"options: want a JSON object, got {type(options).__name__}")
    for name in options:
        if name not in _FIELDS:
            raise UsageError(unknown_option(name, _FIELDS))
    model = options.get("model", AUTO)
    if model not in MODELS:
        raise UsageError(f"{option('model')}: want {', '.join(MODELS)}, got {model!r}")
    return options


def make_request(
    source: Path | bytes, target: Path | None, options: dict[str, Any], settings: Settings
) -> Request:
    """The request of a job; `UsageError` for values that are wrong."""
    machine: dict[str, Any] = {}
    if isinstance(source, bytes) or not has_film_suffix(source):  # which films do not heed
        machine["max_pixels"] = settings.max_pixels
    if settings.max_memory != Request.model_fields["max_memory"].default:
        machine["max_memory"] = settings.max_memory
    return Request(source=source, target=target, **machine, **checked_names(options))


__all__ = ["MODELS", "Options", "checked_names", "make_request", "parse_options"]
