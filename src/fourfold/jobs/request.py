"""What is wanted of one picture or film, as plain data: JSON, picklable, checked when made."""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal, TypedDict

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    ValidationError,
    model_validator,
)

from fourfold.engine.memory import parse_memory, parse_tile
from fourfold.errors import UsageError, did_you_mean, option
from fourfold.files.paths import STDIO
from fourfold.films.probe import has_film_suffix
from fourfold.jobs.films.settings import VideoSettings, parse_time
from fourfold.jobs.size import TargetSize
from fourfold.pictures.formats import EXTENSIONS

_PICTURES_ONLY: Final = ("ext", "quality", "max_pixels")
_FILMS_ONLY: Final = ("codec", "crf", "preset", "start", "end", "frames", "preview")

Ext = Literal["auto", "png", "jpg", "jpeg", "webp", "tiff", "tif", "avif", "gif"]
_LONGEST: Final = 100
"""Characters of a wrong value that a message shows."""
_SAME: Final = {"jpeg": "jpg", "tif": "tiff"}


def _plain(value: Any) -> Any:
    """A path as text, and the two kinds of bytes that JSON holds as objects."""
    if isinstance(value, dict) and len(value) == 1:
        ((kind, text),) = value.items()
        if kind in ("base64", "name") and isinstance(text, str):
            content = base64.b64decode(text, validate=True)
            return content if kind == "base64" else os.fsdecode(content)
    path = os.fspath(value) if isinstance(value, os.PathLike) else value
    if isinstance(path, str) and (not path or "\0" in path):
        raise ValueError(f"want the name of a file, got {path!r}")
    return path


def _as_json(value: Any) -> Any:
    """Bytes, and names that are no text, become objects."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode()}
    try:
        str(value).encode()
    except UnicodeEncodeError:
        return {"name": base64.b64encode(os.fsencode(value)).decode()}
    return value


def _spelled(value: Any) -> Any:
    """`.JPEG` is `jpg`."""
    if not isinstance(value, str):
        return value
    name = value.lower().lstrip(".")
    name = _SAME.get(name, name)
    if name not in EXTENSIONS:
        raise UsageError(f"{option('ext')}: want {', '.join(EXTENSIONS)}, got {value!r}")
    return name


_JSON: Final = PlainSerializer(_as_json, when_used="json")
Name = Annotated[str | Path, BeforeValidator(_plain), _JSON]
Content = Annotated[str | Path | bytes, BeforeValidator(_plain), _JSON]


class Request(BaseModel):
    """One picture or film to enlarge, and how. Wrong values and combinations are `UsageError`s."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        use_attribute_docstrings=True,
        protected_namespaces=(),
    )

    source: Content
    """Path, `-` for standard input, or the bytes of an encoded picture."""
    target: Name | None = None
    """File, folder, or `-` for standard output. None: beside the source, or the outcome's
    `content` for a source of bytes."""
    relative: Name | None = None
    """Where the source stands below the folder it was found in; `target` is then a folder."""
    kind: Literal["auto", "picture", "film"] = "auto"
    """`auto` goes by the suffix."""

    model: str | Path = "auto"
    """`auto`, a bundled name, a model file or a training run."""
    backend: Literal["auto", "openvino", "onnxruntime", "torch"] = "auto"
    """What computes; `auto` as `fourfold doctor` says."""
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where; other devices than the CPU need torch."""
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"] = "auto"
    """Of the arithmetic; `auto` takes bf16 where the machine multiplies it natively, and int8
    where it does that and the model's file says that it is exact enough."""
    tile: int | str = "auto"
    """Side of a tile in LR pixels, at least 32."""
    texture: float | None = None
    """0 faithful to 1 most detail."""
    denoise: float | None = None
    """0 nothing removed to 1 as trained: of models for photographs, which `auto` then means."""
    tta: bool = False
    """Average the results of 8 flips and turns."""
    consistency: bool | None = None
    """The back-projection step; None: as the model needs it."""
    max_memory: str | int = "1GB"
    """At least 300MB."""

    scale: float | None = None
    """1 to 16; None for the network's own factor."""
    fit: str | None = None
    """`4k`, `WIDTHxHEIGHT`: the largest size inside."""
    suffix: str | None = None
    """Added to the name; None for `_x4` and the like."""
    overwrite: bool = False
    """Replace a result that exists."""

    ext: Annotated[Ext, BeforeValidator(_spelled)] = "auto"
    """`auto` keeps the input's format where it can hold the result, else PNG (WebP or TIFF for
    several frames or pages, TIFF for floats)."""
    quality: int | None = None
    """1 to 100 for JPEG, WebP and AVIF; None for a default of the format."""
    max_pixels: int = 500_000_000
    """Largest result, in pixels of all frames; larger ones are refused before decoding."""

    codec: str = "auto"
    """Films only, as all that follow. `h264`, `hevc`, `av1`, `ffv1` or `prores`; `auto` as depth and
    container want it."""
    crf: float | None = None
    """Quality in the codec's own scale, lower is better; None for the codec's default."""
    preset: str | None = None
    """Speed in the encoder's own words; None for the codec's default."""
    start: str | float | None = None
    """Seconds or `H:MM:SS` from the film's beginning."""
    end: str | float | None = None
    """As `start`."""
    frames: int | None = None
    """The work ends after so many."""
    preview: bool = False
    """3 seconds, bicubic left, the result right."""
    pulldown: Literal["keep", "undo"] = "keep"
    """`undo` makes film of video that was made by 3:2 pulldown."""

    if not TYPE_CHECKING:  # type checkers see the fields as keywords

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                raise UsageError(_explain(error)) from error

    @model_validator(mode="after")
    def _check(self) -> Request:
        if self.texture is not None and not 0 <= self.texture <= 1:
            raise UsageError(
                f"{option('texture')}: want 0 (faithful) to 1 (most detail), got {self.texture:g}"
            )
        if self.denoise is not None and not 0 <= self.denoise <= 1:
            raise UsageError(
                f"{option('denoise')}: want 0 (nothing removed) to 1 (as trained), "
                f"got {self.denoise:g}"
            )
        if self.texture is not None and self.denoise is not None:
            raise UsageError(
                f"{option('texture')} and {option('denoise')}: want one of them, got both"
            )
        parse_tile(self.tile)
        parse_memory(self.max_memory)
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"{option('quality')}: want 1 to 100, got {self.quality}")
        if self.max_pixels < 1:
            raise UsageError(f"{option('max_pixels')}: want at least 1, got {self.max_pixels}")
        if self.suffix is not None and re.search(r"[/\\\0]", self.suffix):
            raise UsageError(f"{option('suffix')}: want a part of a file name, got {self.suffix!r}")
        self.film_settings()
        if self.source != STDIO:  # which may stand for what is yet to be found
            self.refuse_useless()
        return self

    def refuse_useless(self) -> None:
        """`UsageError` for options that cannot matter; those of a folder may matter to others."""
        if self.relative is None and (useless := self.useless()):
            raise UsageError(
                f"{self.name}: {' and '.join(map(option, useless))}: without effect on "
                f"{'films' if self.is_film else 'pictures'}; leave out"
            )

    def useless(self) -> list[str]:
        """Options that are set and cannot matter to this kind of source."""
        names = _PICTURES_ONLY if self.is_film else _FILMS_ONLY
        return [n for n in names if getattr(self, n) != type(self).model_fields[n].default]

    @property
    def size(self) -> TargetSize:
        """What `scale` and `fit` ask for."""
        return TargetSize.parse(self.scale, self.fit)

    @property
    def is_film(self) -> bool:
        """Whether the source goes to the film engine."""
        if self.kind != "auto":
            return self.kind == "film"
        return not isinstance(self.source, bytes) and has_film_suffix(Path(self.source))

    @property
    def input(self) -> Literal["still", "film"]:
        """What `engine.choose` tells apart."""
        return "film" if self.is_film else "still"

    @property
    def name(self) -> str:
        """What outcomes and errors call the source."""
        return "bytes" if isinstance(self.source, bytes) else str(self.source)

    @property
    def path(self) -> Path | None:
        """The source's file; None for standard input and bytes."""
        if isinstance(self.source, bytes) or self.source == STDIO:
            return None
        return Path(self.source)

    def film_settings(self) -> VideoSettings:
        """The options that films heed."""
        return VideoSettings(
            size=self.size,
            codec=self.codec.lower(),
            crf=self.crf,
            preset=self.preset,
            start=None if self.start is None else parse_time(str(self.start), name="start"),
            end=None if self.end is None else parse_time(str(self.end), name="end"),
            frames=self.frames,
            preview=self.preview,
            pulldown=self.pulldown,
            suffix=self.suffix,
            overwrite=self.overwrite,
        )


def _explain(error: ValidationError) -> str:
    """Errors of pydantic in our words; what is wanted of one value in one sentence."""
    told: list[str] = []
    wanted: dict[str, tuple[list[str], str]] = {}
    for item in error.errors():
        name = str(item["loc"][0]) if item["loc"] else ""
        if item["type"] == "value_error":
            cause = item["ctx"]["error"]
            told.append(str(cause) if isinstance(cause, UsageError) else f"{option(name)}: {cause}")
        elif item["type"] == "extra_forbidden":
            told.append(unknown_option(name, Request.model_fields))
        elif item["type"] == "missing":
            told.append(f"{option(name)}: want a value, got none")
        else:
            said = item["msg"].removeprefix("Input should be ").removeprefix("a valid ")
            kinds, _ = wanted.setdefault(name, ([], shortened(item["input"])))
            kinds.append(said.replace("an instance of Path", "a path"))
    told += [f"{option(n)}: want {' or '.join(k)}, got {got}" for n, (k, got) in wanted.items()]
    return "; ".join(told)


def shortened(value: object) -> str:
    """What came, not at any length."""
    text = repr(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def want_request(request: object) -> None:
    """`UsageError` for what a caller may take for a request."""
    if not isinstance(request, Request):
        raise UsageError(
            f"request: want a Request, such as Request(source='a.png'), got {shortened(request)}"
        )


def unknown_option(name: str, known: Any) -> str:
    """What to say of a name that is no option."""
    hint = did_you_mean(name, known) or f"known: {', '.join(sorted(known))}"
    return f"unknown option {name!r}; {hint}"


def want_requests(requests: object) -> list[Request]:
    """All of them, if they are; `UsageError` otherwise."""
    if isinstance(requests, Request | str) or not isinstance(requests, Iterable):
        raise UsageError(f"requests: want several Requests, got {shortened(requests)}")
    wanted: list[Request] = list(requests)
    for request in wanted:
        want_request(request)
    return wanted


class EngineOptions(TypedDict, total=False):
    """What an `Upscaler` is made of; see `Request`."""

    model: str | Path
    backend: Literal["auto", "openvino", "onnxruntime", "torch"]
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "fp32", "bf16", "fp16", "int8"]
    tile: int | str
    texture: float | None
    denoise: float | None
    tta: bool
    consistency: bool | None
    max_memory: str | int


class _SizeOptions(EngineOptions, total=False):
    scale: float | None
    fit: str | None


class BytesOptions(_SizeOptions, total=False):
    """Options of `upscale_bytes`; see `Request`."""

    ext: Ext
    quality: int | None
    max_pixels: int


class PictureOptions(BytesOptions, total=False):
    """Options of `upscale_file`; see `Request`."""

    suffix: str | None
    overwrite: bool


class FilmOptions(_SizeOptions, total=False):
    """Options of `upscale_video`; see `Request`."""

    suffix: str | None
    overwrite: bool
    codec: str
    crf: float | None
    preset: str | None
    start: str | float | None
    end: str | float | None
    frames: int | None
    preview: bool
    pulldown: Literal["keep", "undo"]


__all__ = [
    "BytesOptions",
    "EngineOptions",
    "FilmOptions",
    "PictureOptions",
    "Request",
    "shortened",
    "unknown_option",
    "want_request",
    "want_requests",
]
