"""The networks that requests ask for: what `auto` means, opened once, and how fast they are."""

from __future__ import annotations

import threading
import time
from typing import Any, Final, Literal
from weakref import WeakKeyDictionary

import numpy as np

from fourfold.engine.choose import AUTO, choose
from fourfold.engine.upscaler import Upscaler
from fourfold.errors import UsageError
from fourfold.jobs.request import EngineOptions, Request, want_request

_TRIAL_SIDE: Final = 128

_OPENED: WeakKeyDictionary[Upscaler, dict[str, Any]] = WeakKeyDictionary()
"""The options of every `Upscaler` opened here."""
_RATES: WeakKeyDictionary[Upscaler, float] = WeakKeyDictionary()


def choose_model(request: Request) -> tuple[str, str]:
    """The model a request runs, and why."""
    if request.model != AUTO:
        return str(request.model), "as asked"
    kind: Literal["film", "still"] = "film" if request.is_film else "still"
    return choose(kind, scale=request.scale, texture=request.texture)


def engine_options(request: Request) -> dict[str, Any]:
    """Keywords of the `Upscaler` a request runs on."""
    options = {name: getattr(request, name) for name in EngineOptions.__annotations__}
    return {**options, "model": choose_model(request)[0]}


def open_upscaler(request: Request) -> Upscaler:
    """The `Upscaler` a request asks for; requests that ask for the same one may share it."""
    want_request(request)
    options = engine_options(request)
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
        self._given, self._most = given, most
        self._open: dict[str, Upscaler] = {}
        self._lock = threading.Lock()

    def of(self, request: Request) -> Upscaler:
        """The engine of a request; `UsageError` when the given one contradicts it."""
        if self._given is None:
            key = repr(sorted(engine_options(request).items()))
            with self._lock:
                engine = self._open.pop(key, None) or open_upscaler(request)
                self._open[key] = engine
                if self._most is not None and len(self._open) > self._most:
                    del self._open[next(iter(self._open))]
                return engine
        asked = sorted(request.model_fields_set & EngineOptions.__annotations__.keys())
        opened = _OPENED.get(self._given)
        if opened is not None:
            wanted = engine_options(request)
            asked = [name for name in asked if wanted[name] != opened[name]]
        if asked:
            raise UsageError(
                f"{', '.join(asked)}: settled by the Upscaler that is given; leave one of them out"
            )
        return self._given


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


__all__ = ["Engines", "choose_model", "engine_options", "open_upscaler", "pixel_rate"]
