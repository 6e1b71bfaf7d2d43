"""The networks that requests ask for: what `auto` means, opened once, and how fast they are."""

from __future__ import annotations

import threading
import time
from typing import Any, Final
from weakref import WeakKeyDictionary

import numpy as np

from fourfold.engine.choose import AUTO, CLEAN, PHOTO, ModelChoice, choose
from fourfold.engine.suits import Verdict
from fourfold.engine.upscaler import Upscaler
from fourfold.errors import UsageError
from fourfold.jobs.request import EngineOptions, Request, want_request

_TRIAL_SIDE: Final = 128

_OPENED: WeakKeyDictionary[Upscaler, dict[str, Any]] = WeakKeyDictionary()
"""The options of every `Upscaler` opened here."""
_RATES: WeakKeyDictionary[Upscaler, float] = WeakKeyDictionary()


def is_open(request: Request) -> bool:
    """Whether the model depends on what the input looks like."""
    return request.model == AUTO and request.texture is None and request.denoise is None


def choose_model(request: Request, verdict: Verdict | None = None) -> ModelChoice:
    """The model a request runs, and why; without a verdict, that of clean inputs."""
    if request.model != AUTO:
        return ModelChoice(str(request.model), "as asked")
    return choose(request.input, verdict=verdict, texture=request.texture, denoise=request.denoise)


def possible_models(request: Request) -> tuple[ModelChoice, ...]:
    """All that `choose_model` may answer, whatever the input looks like."""
    if not is_open(request):
        return (choose_model(request),)
    return tuple(ModelChoice(names[request.input], "") for names in (CLEAN, PHOTO))


def engine_options(request: Request, choice: ModelChoice | None = None) -> dict[str, Any]:
    """Keywords of the `Upscaler` a request runs on."""
    options = {name: getattr(request, name) for name in EngineOptions.__annotations__}
    return {**options, "model": (choice or choose_model(request)).model}


def open_upscaler(request: Request) -> Upscaler:
    """The `Upscaler` a request asks for; requests that ask for the same one may share it.

    Its source is not looked at: `auto` means the model of clean inputs.
    """
    want_request(request)
    return _open(engine_options(request))


def _open(options: dict[str, Any]) -> Upscaler:
    upscaler = Upscaler(**options)
    _OPENED[upscaler] = options
    return upscaler


class Engines:
    """One `Upscaler` for all requests that ask for the same, or the one that is given.

    With `most`, only so many are kept open: those asked for last.
    """

    def __init__(self, given: Upscaler | None = None, *, most: int | None = None) -> None:
        if given is not None and not hasattr(given, "tiles"):
            raise UsageError(f"upscaler: want an Upscaler, got {given!r}")
        self.given, self._most = given, most
        self._open: dict[str, Upscaler] = {}
        self._lock = threading.Lock()

    @classmethod
    def among(cls, given: Upscaler | Engines | None) -> Engines:
        """Engines as they are, or those there are with an `Upscaler` or with none."""
        return given if isinstance(given, Engines) else cls(given)

    def of(self, request: Request, choice: ModelChoice | None = None) -> Upscaler:
        """The engine of a request, by default that of clean inputs.

        `UsageError` when the given one contradicts it.
        """
        if self.given is None:
            options = engine_options(request, choice)
            key = repr(sorted(options.items()))
            with self._lock:
                engine = self._open.pop(key, None) or _open(options)
                self._open[key] = engine
                if self._most is not None and len(self._open) > self._most:
                    del self._open[next(iter(self._open))]
                return engine
        asked = sorted(request.model_fields_set & EngineOptions.__annotations__.keys())
        opened = _OPENED.get(self.given)
        if opened is not None:
            wanted = engine_options(request)
            if request.model == AUTO:
                wanted["model"] = opened["model"]
            asked = [name for name in asked if wanted[name] != opened[name]]
        if asked:
            raise UsageError(
                f"{', '.join(asked)}: settled by the Upscaler that is given; leave one of them out"
            )
        return self.given


def pixel_rate(upscaler: Upscaler) -> float:
    """LR pixels a second, from a small window of noise: well under a second's work, done once."""
    if upscaler not in _RATES:
        noise = np.random.default_rng(0).integers(0, 255, (_TRIAL_SIDE, _TRIAL_SIDE, 3))
        trial = noise.astype(np.uint8)
        upscaler.upscale(trial[:16, :16])  # opens the network
        started = time.perf_counter()
        upscaler.upscale(trial)
        _RATES[upscaler] = trial[..., 0].size / max(time.perf_counter() - started, 1e-9)
    return _RATES[upscaler]


__all__ = [
    "Engines",
    "choose_model",
    "engine_options",
    "is_open",
    "open_upscaler",
    "pixel_rate",
    "possible_models",
]
