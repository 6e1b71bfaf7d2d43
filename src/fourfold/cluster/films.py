"""A film whose segments several workers make: split, render, join.

Segments meet in the folder of the results and are joined by the worker that ends the film, which
finds them as a run that goes on finds its own. So the result is that of one machine.
"""

from __future__ import annotations

import hashlib
import threading
from pathlib import Path
from typing import Final

from fourfold.cluster.manifest import FOLDER
from fourfold.engine.upscaler import Upscaler
from fourfold.files.addresses import Store, beside
from fourfold.jobs.film import plan_film
from fourfold.jobs.films.parts import film_parts, film_scratch
from fourfold.jobs.films.work import render
from fourfold.jobs.request import Request

SEGMENTS: Final = f"{FOLDER}/films"


class FilmInParts:
    """One film on one worker; its segments are in the store, under a name of film and settings."""

    def __init__(self, request: Request, upscaler: Upscaler, store: Store, key: str) -> None:
        self._upscaler, self._store, self._key = upscaler, store, key
        self._plan = plan_film(request, upscaler)
        with film_scratch(self._plan, upscaler) as scratch:
            name = f"{key}\0{scratch.folder.name}".encode("utf-8", "surrogateescape")
        self._place = f"{SEGMENTS}/{hashlib.blake2b(name, digest_size=12).hexdigest()}"

    def count(self, *, overwrite: bool) -> int:
        """Parts it is worth cutting into; 1 where a result stands there that may be kept."""
        there = self._store.stat(beside(self._key, self._plan.output.name))
        if there is not None and not overwrite:
            return 1
        return sum(1 for _ in film_parts(self._plan))

    def render(self, number: int, stop: threading.Event) -> None:
        """Make the segments of a part and put them, unless they are there."""
        part = next(part for part in film_parts(self._plan) if part.number == number)
        if self._store.stat(f"{self._place}/{number:06d}.seg") is not None:
            return
        with film_scratch(self._plan, self._upscaler) as scratch:
            render(part, self._upscaler, scratch, cancelled=stop.is_set)
            # The last part may have several; where its first is, the others are.
            for path in sorted(scratch.folder.glob("*.seg"), reverse=True):
                self._store.publish(path, f"{self._place}/{path.name}")

    def gather(self) -> None:
        """Fetch all segments to where a run looks for its own."""
        with film_scratch(self._plan, self._upscaler) as scratch:
            for key in self._segments():
                self._store.fetch(key, scratch.folder / Path(key).name)

    def forget(self) -> None:
        """Remove the segments from the store."""
        for key in self._segments():
            self._store.remove(key)

    def _segments(self) -> list[str]:
        return [entry.key for page in self._store.pages(self._place) for entry in page]


__all__ = ["SEGMENTS", "FilmInParts"]
