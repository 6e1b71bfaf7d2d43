"""Which bundled model keeps up with a film on this machine: a promise that is measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from fourfold.engine.upscaler import Upscaler
from fourfold.films.encode import SegmentEncoder, to_frame
from fourfold.jobs.engines import Engines, choose_model, is_open, open_upscaler
from fourfold.jobs.film import film_engine, plan_film
from fourfold.jobs.films.progress import trial_speed
from fourfold.jobs.films.settings import Plan
from fourfold.jobs.films.work import Shown, enlarge_into
from fourfold.jobs.request import Request
from fourfold.jobs.stages import Cancelled
from fourfold.weights.zoo import BLEND_ONLY, BUNDLED, get_model

TRIAL_SECONDS: Final = 2.0
"""Of the film's own frames through decoder, network and encoder, shared by the models tried."""

_HOPELESS: Final = 0.5
"""Speed on a small window, as a share of the film's rate, below which no trial is made."""

Trial = Callable[[Upscaler, Plan, float], float]
"""Frames a second of a film with a network, found out in so many seconds."""


def in_time(request: Request, *, trial: Trial | None = None) -> tuple[Request, str]:
    """The request with the best model that keeps up with its film, and a sentence about it.

    Best is what `-n auto` takes, then those for the same kind of film, then by size. A model that
    was named is kept and only measured. Where none keeps up, the fastest is taken: who wants a film
    would rather wait than have none.
    """
    trial = trial or measured
    names = candidates(request)
    found: list[tuple[float, Request]] = []
    wanted = 0.0
    for name in names:
        asked = request.model_copy(update={"model": name})
        upscaler = open_upscaler(asked)
        plan = plan_film(asked, upscaler)
        wanted = float(plan.encoding.rate)
        upscaler = upscaler.for_frames(plan.info.height, plan.info.width)
        fps = trial_speed(upscaler, plan.info, plan.yuv)
        if fps >= _HOPELESS * wanted or name == names[-1]:
            fps = trial(upscaler, plan, TRIAL_SECONDS / min(len(names), 3))
        found.append((fps, asked))
        if fps >= wanted:
            return asked, f"{name} keeps up: {fps:.1f} frames a second, {wanted:.4g} are shown"
    fps, chosen = max(found, key=lambda one: one[0])
    fastest = "it" if len(names) == 1 else "the fastest"
    return chosen, (
        f"no model keeps up; {chosen.model} makes {fps:.1f} of {wanted:.4g} frames a second, "
        f"{fastest} is {wanted / max(fps, 1e-9):.1f} times too slow (a smaller --fit is faster)"
    )


def candidates(request: Request) -> list[str]:
    """Names of models, best first."""
    if not is_open(request):
        return [choose_model(request).model]
    first = film_engine(request, Engines()).upscaler.network.name  # by what the film looks like
    models = {name: get_model(name) for name in BUNDLED if name not in BLEND_ONLY}
    purpose = models[first].usage.purpose

    def rank(name: str) -> tuple[bool, bool, int]:
        model = models[name]
        return name != first, model.usage.purpose != purpose, -model.graph.flops(model.tensors)

    return sorted(models, key=rank)


def measured(upscaler: Upscaler, plan: Plan, seconds: float) -> float:
    """Frames a second from decoder to encoder; the first, which opens everything, is not counted."""
    times: list[float] = []

    def sink(enlarged: Shown) -> None:
        encoder = SegmentEncoder(plan.encoding)
        for pixels, stamp in enlarged:
            encoder.add(to_frame(pixels, plan.encoding), stamp)
            times.append(time.perf_counter())

    def over() -> bool:
        return len(times) > 1 and times[-1] - times[0] > seconds

    with suppress(Cancelled):
        enlarge_into(sink, plan, upscaler, limit=plan.frames, cancelled=over)
    if len(times) < 2:
        return trial_speed(upscaler, plan.info, plan.yuv)
    return (len(times) - 1) / (times[-1] - times[0])


__all__ = ["TRIAL_SECONDS", "candidates", "in_time", "measured"]
