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
    from fourfold.jobs.door import plan, upscale_bytes, upscale_file, upscale_video
    from fourfold.jobs.engines import open_upscaler
    from fourfold.jobs.outcome import Outcome, Plan, Progress
    from fourfold.jobs.pipeline import run, run_all
    from fourfold.jobs.request import Request
    from fourfold.jobs.stages import Cancelled

_HOMES = {
    "Cancelled": "fourfold.jobs.stages",
    "Outcome": "fourfold.jobs.outcome",
    "Plan": "fourfold.jobs.outcome",
    "Progress": "fourfold.jobs.outcome",
    "Request": "fourfold.jobs.request",
    "Upscaler": "fourfold.engine.upscaler",
    "open_upscaler": "fourfold.jobs.engines",
    "plan": "fourfold.jobs.door",
    "run": "fourfold.jobs.pipeline",
    "run_all": "fourfold.jobs.pipeline",
    "upscale_bytes": "fourfold.jobs.door",
    "upscale_file": "fourfold.jobs.door",
    "upscale_video": "fourfold.jobs.door",
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


__all__ = [
    "Cancelled",
    "Outcome",
    "Plan",
    "Progress",
    "Request",
    "Upscaler",
    "__version__",
    "open_upscaler",
    "plan",
    "run",
    "run_all",
    "upscale_bytes",
    "upscale_file",
    "upscale_video",
]
