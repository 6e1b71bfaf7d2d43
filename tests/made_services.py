"""What tests of the server share: a client that speaks as the page does, pictures, slow networks."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uvicorn
from starlette.testclient import TestClient

from fourfold import Upscaler
from fourfold.jobs.engines import Engines
from fourfold.server.run import serve
from fourfold.server.settings import Settings
from tests.made_pictures import image
from tests.models import tiny_model

PAGE = {"X-Fourfold": "1"}


class Client(TestClient):
    """Speaks as the page does."""

    def send_file(
        self,
        content: bytes,
        name: str = "a.png",
        *,
        headers: dict[str, str] | None = None,
        **options,
    ) -> Any:
        return self.post(
            "/v1/jobs",
            files={"file": (name, content)},
            data={"options": json.dumps(options)},
            headers=headers,
        )

    def ended(self, job: str, *, seconds: float = 60) -> dict[str, Any]:
        """The job once it has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            told = self.get(f"/v1/jobs/{job}").json()
            if told["state"] in ("done", "failed", "cancelled"):
                return told
            time.sleep(0.02)
        raise AssertionError(f"{job} is {told['state']} after {seconds} s")


@contextmanager
def serving(
    folder: Path, *, engines: Engines | None = None, **settings: Any
) -> Iterator[tuple[uvicorn.Server, int]]:
    """A service on a free port, in a thread of this process: the server and the port."""
    ports: list[int] = []
    servers: list[uvicorn.Server] = []
    thread = threading.Thread(
        target=serve,
        args=(Settings(data=folder / "data", **settings),),
        kwargs={
            "port": 0,
            "engines": engines,
            "ready": ports.append,
            "opened": servers.append,
        },
    )
    thread.start()
    deadline = time.monotonic() + 60
    while not ports and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.02)
    try:
        yield servers[0], ports[0]
    finally:
        servers[0].handle_exit(2, None)
        thread.join(60)
        assert not thread.is_alive()


def png(height: int = 12, width: int = 17, *, seed: int = 0) -> bytes:
    """A small picture as a file holds it."""
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return image(noise).pngsave_buffer()


class Slow(Upscaler):
    """A network that goes on with a picture until it is told to stop."""

    def __init__(self) -> None:
        super().__init__(tiny_model())

    def tiles(self, read: Any, height: int, width: int, channels: int) -> Any:
        first = next(iter(super().tiles(read, height, width, channels)))
        while True:
            time.sleep(0.02)
            yield first


class SlowFrames(Upscaler):
    """A network that takes its time for each frame of a film, and none for pictures."""

    def __init__(self) -> None:
        super().__init__(tiny_model())

    def upscale(self, image: Any, **options: Any) -> Any:
        time.sleep(0.1)
        return super().upscale(image, **options)
