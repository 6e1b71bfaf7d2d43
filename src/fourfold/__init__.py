"""fourfold: SRGAN super-resolution that trains, scores, ships and upscales.

`Upscaler` turns arrays into larger arrays; the `fourfold` command does the rest. Names load on
first use, so that importing the package costs nothing. With `FOURFOLD_LOG=debug` in the environment
everything that is read, chosen and written is said on standard error.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fourfold._version import __version__

if TYPE_CHECKING:
    from fourfold.engine.upscaler import Upscaler
    from fourfold.jobs.films.run import upscale_video
    from fourfold.jobs.pipeline import upscale_file

_HOMES = {
    "Upscaler": "fourfold.engine.upscaler",
    "upscale_file": "fourfold.jobs.pipeline",
    "upscale_video": "fourfold.jobs.films.run",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'fourfold' has no attribute {name!r}")
    import importlib

    from fourfold.logs import show_logs_as_the_environment_says

    show_logs_as_the_environment_says()
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = ["Upscaler", "__version__", "upscale_file", "upscale_video"]
