"""A service in this process, with a tiny network."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx2")

from fourfold import Upscaler
from fourfold.jobs.engines import Engines
from fourfold.server.app import create_app
from fourfold.server.settings import Settings
from tests.made_services import PAGE, Client
from tests.models import tiny_model


@pytest.fixture(scope="session")
def upscaler() -> Upscaler:
    return Upscaler(tiny_model())


@pytest.fixture
def serve(tmp_path: Path, upscaler: Upscaler) -> Iterator[Callable[..., Client]]:
    """Starts services that end with the test: `serve(**settings)`."""
    open_clients: list[Client] = []

    def start(*, engines: Any = None, headers: dict[str, str] | None = None, **settings) -> Client:
        chosen = Settings(**{"data": tmp_path / "data", **settings})
        app = create_app(chosen, engines or Engines(upscaler))
        given = PAGE if headers is None else headers
        client = Client(app, base_url="http://localhost", headers=given)
        client.__enter__()
        open_clients.append(client)
        return client

    yield start
    for client in open_clients:
        client.__exit__(None, None, None)


@pytest.fixture
def client(serve: Callable[..., Client]) -> Client:
    return serve()
