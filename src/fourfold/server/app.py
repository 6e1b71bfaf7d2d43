"""The app: guard, routes, page."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fourfold._version import __version__
from fourfold.jobs.engines import Engines
from fourfold.server import pages, routes, work
from fourfold.server.guard import Guard
from fourfold.server.problems import PROBLEM, add_handlers
from fourfold.server.service import Service
from fourfold.server.settings import Settings

logger = logging.getLogger(__name__)

PAGE: Final = Path(__file__).parent / "page"


def create_app(settings: Settings, engines: Engines | None = None) -> FastAPI:
    """The ASGI app of one service; its data folder is taken when it starts.

    Raises `UsageError` for a data folder that cannot be used. `engines` are those of a test.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        service = app.state.service = Service(settings, engines)
        service.start()
        try:
            yield
        finally:
            service.close()

    app = FastAPI(
        title="fourfold",
        version=__version__,
        description="Makes pictures and films larger.",
        lifespan=lifespan,
        docs_url=None,  # both would load scripts of another host
        redoc_url=None,
        root_path=settings.path,
        responses=PROBLEM,
        middleware=[Middleware(_Log), Middleware(Guard, settings=settings)],
    )
    add_handlers(app)
    for router in (work.router, routes.router, pages.router):
        app.include_router(router)
    app.mount("/page", StaticFiles(directory=PAGE))
    return app


class _Log:
    """Middleware: one line of JSON for each request that is answered."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started, status = time.perf_counter(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, noted)
        finally:
            seconds = round(time.perf_counter() - started, 4)
            line = {"method": scope["method"], "path": scope["path"], "status": status}
            logger.info("%s", json.dumps({**line, "seconds": seconds}))


__all__ = ["PAGE", "create_app"]
