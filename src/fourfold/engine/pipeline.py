"""Files in, files out: one picture after another, each result whole or absent."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Literal

from fourfold.engine.size import TargetSize
from fourfold.engine.upscaler import Upscaler
from fourfold.errors import FourfoldError, InputError, OutputError, UsageError
from fourfold.io.images import encode_pixels, read_pixels, read_pixels_from_bytes, resize_pixels
from fourfold.io.paths import Found, atomic_path
from fourfold.weights.zoo import DEFAULT_MODEL

STDIO: Final = "-"
EXTENSIONS: Final = ("auto", "png", "jpg", "webp", "tiff", "avif")
_WRITABLE: Final = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".avif"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputSettings:
    """Size, format and name of the results."""

    size: TargetSize = field(default_factory=TargetSize)
    ext: str = "auto"
    """`auto` keeps the input's format where it can hold the result, else PNG."""
    quality: int | None = None
    """1 to 100 for JPEG, WebP and AVIF; None for a default of the format."""
    suffix: str | None = None
    overwrite: bool = False
    max_pixels: int = 500_000_000
    """Largest result, in pixels; larger ones are refused before decoding."""

    def __post_init__(self) -> None:
        if self.ext not in EXTENSIONS:
            raise UsageError(f"--ext: want {', '.join(EXTENSIONS)}, got {self.ext!r}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality: want 1 to 100, got {self.quality}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of one input."""

    input: str
    status: Literal["done", "skipped", "failed"]
    output: str | None = None
    reason: str | None = None
    width: int = 0
    height: int = 0
    seconds: float = 0.0

    @property
    def megapixels_per_second(self) -> float:
        """Output rate, everything included."""
        return self.width * self.height / 1e6 / self.seconds if self.seconds else 0.0

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "input": self.input,
            "output": self.output,
            "status": self.status,
            "reason": self.reason,
            "width": self.width,
            "height": self.height,
            "seconds": round(self.seconds, 3),
            "megapixels_per_second": round(self.megapixels_per_second, 3),
        }


def upscale_file(
    source: str | Path,
    target: str | Path | None = None,
    *,
    model: str | Path = DEFAULT_MODEL,
    scale: float | None = None,
    fit: str | None = None,
    ext: str = "auto",
    quality: int | None = None,
    suffix: str | None = None,
    overwrite: bool = True,
    upscaler: Upscaler | None = None,
    **options: Any,
) -> Path:
    """Enlarge one picture file and return the path of the result.

    Args:
        source: the picture.
        target: result file or folder; `<name>_x4.<ext>` beside the source by default.
        model: see `Upscaler`; `options` are passed on to it.
        scale, fit, ext, quality, suffix, overwrite: as the options of `fourfold upscale`.
        upscaler: one to reuse; `model` and `options` are then ignored.

    Raises `InputError` or `OutputError` naming the file, `UsageError` for wrong options.
    """
    settings = OutputSettings(
        size=TargetSize.parse(scale, fit),
        ext=ext,
        quality=quality,
        suffix=suffix,
        overwrite=overwrite,
    )
    up = upscaler or Upscaler(model, **options)
    found = Found(Path(source), Path(Path(source).name))
    output = name_output(
        found, None if target is None else str(target), up.scale, settings, single=True
    )
    upscale_one(str(source), str(output), up, settings)
    return output


def name_output(
    found: Found, out: str | None, network_scale: int, settings: OutputSettings, *, single: bool
) -> Path:
    """Where the result of one input goes.

    `out` is a file when there is a single input and it has a picture's suffix, else a folder.
    """
    if out is not None and single and not Path(out).is_dir() and Path(out).suffix:
        if Path(out).suffix.lower() not in _WRITABLE:
            raise UsageError(f"-o {out}: want one of {', '.join(sorted(_WRITABLE))}, or a folder")
        return Path(out)
    suffix = settings.suffix if settings.suffix is not None else settings.size.suffix(network_scale)
    own = found.path.suffix.lower()
    ext = f".{settings.ext}" if settings.ext != "auto" else (own if own in _WRITABLE else ".png")
    name = f"{found.path.stem}{suffix}{ext}"
    return found.path.with_name(name) if out is None else Path(out) / found.relative.with_name(name)


def upscale_files(
    inputs: Iterable[Found], out: str | None, upscaler: Upscaler, settings: OutputSettings
) -> Iterator[Outcome]:
    """Enlarge each input; a failed one is reported in its outcome and never stops the rest."""
    found = list(inputs)
    for item in found:
        started = time.perf_counter()
        output: str | None = None
        name = str(item.path)
        try:
            if out == STDIO:
                output = STDIO
            elif name == STDIO and out is None:
                raise UsageError("reading standard input: want -o FILE or -o -")
            else:
                path = name_output(item, out, upscaler.scale, settings, single=len(found) == 1)
                output = str(path)
                if path.exists() and not settings.overwrite:
                    reason = "exists (--overwrite replaces it)"
                    yield Outcome(input=name, output=output, status="skipped", reason=reason)
                    continue
            done = upscale_one(name, output, upscaler, settings)
            yield replace(done, seconds=time.perf_counter() - started)
        except UsageError:
            raise
        except FourfoldError as error:
            yield Outcome(input=name, status="failed", reason=str(error))


def upscale_one(source: str, output: str, upscaler: Upscaler, settings: OutputSettings) -> Outcome:
    """Read, enlarge, resize to the wanted size, write whole."""
    if source == STDIO:
        pixels = read_pixels_from_bytes(sys.stdin.buffer.read(), name="standard input")
    else:
        pixels = read_pixels(Path(source))
    height, width = pixels.shape[:2]
    out_width, out_height = settings.size.of(width, height, upscaler.scale)
    if out_width * out_height > settings.max_pixels:
        raise InputError(
            f"{source}: {out_width}x{out_height} is more than --max-pixels {settings.max_pixels}"
        )
    if output != STDIO and Path(output).exists() and Path(output).samefile(source):
        raise OutputError(f"{output}: is the input itself; choose another -o")
    sr = resize_pixels(upscaler.upscale(pixels), width=out_width, height=out_height)
    own = Path(source).suffix.lower()
    default = own if own in _WRITABLE and settings.ext == "auto" else ".png"
    ext = Path(output).suffix if output != STDIO else default
    content = encode_pixels(sr, ext=ext, quality=settings.quality)
    if output == STDIO:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        with atomic_path(Path(output)) as part:
            part.write_bytes(content)
    return Outcome(input=source, output=output, status="done", width=out_width, height=out_height)


__all__ = [
    "EXTENSIONS",
    "STDIO",
    "Outcome",
    "OutputSettings",
    "name_output",
    "upscale_file",
    "upscale_files",
    "upscale_one",
]
