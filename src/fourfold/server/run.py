"""The service on a port, until it is told to stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import FrameType
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from fourfold.errors import UsageError
from fourfold.jobs.engines import Engines
from fourfold.server.app import create_app
from fourfold.server.settings import Settings

_GRACE = 5
"""Seconds in which answers under way may end."""


class _Patient(HttpToolsProtocol):
    """Closes a connection when the head of a request, or the rest of a body that nobody waits for,
    takes longer than `patience` seconds. uvicorn gives both all the time in the world, in which
    slow clients would use up all the connections there can be."""

    patience: float
    _late: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._begun()

    def on_message_begin(self) -> None:
        self._begun()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._ended()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.cycle.response_complete and self.cycle.more_body:
            self._begun()

    def on_message_complete(self) -> None:
        self._ended()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()
        super().connection_lost(exc)

    def _begun(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(self.patience, self.transport.close)

    def _ended(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None


class _Server(uvicorn.Server):
    """Ends the streams of events when it is told to stop, for which it would wait otherwise."""

    def __init__(self, config: uvicorn.Config, app: FastAPI, ready: Callable[[int], None]) -> None:
        super().__init__(config)
        self._app, self._ready = app, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and sockets:
            self._ready(sockets[0].getsockname()[1])

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.state.service.ending.set()
        super().handle_exit(sig, frame)


def serve(
    settings: Settings,
    *,
    port: int,
    ready: Callable[[int], None],
    opened: Callable[[uvicorn.Server], None] | None = None,
    engines: Engines | None = None,
) -> None:
    """Answer on `port` (0: any free one) until SIGINT or SIGTERM; `ready` is told the port.

    `opened` is given the server before it begins, for programs that stop it themselves; `engines`
    are those of a test.

    Raises `UsageError` where the port or the data folder cannot be used.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # Named, for asyncio sends small packets at once (TCP_NODELAY) only where it sees the protocol;
    # else the end of an answer waits 40 ms for the client to confirm its beginning.
    with socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((settings.host, port))
        except OSError as error:
            raise UsageError(
                f"--port {port}: cannot be used ({error.strerror or error}); choose another"
            ) from error
        app = create_app(settings, engines)
        config = uvicorn.Config(
            app,
            http=type("_Connection", (_Patient,), {"patience": settings.patience}),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_GRACE,
            lifespan="on",
        )
        server = _Server(config, app, ready)
        if opened is not None:
            opened(server)
        server.run(sockets=[listening])
        if not server.started:
            raise UsageError("the service could not start; see above")


__all__ = ["serve"]
