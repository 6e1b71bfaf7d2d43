"""Errors as problem details (RFC 9457), in the words of the command line."""

from __future__ import annotations

import re
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from fourfold.errors import FourfoldError, UsageError


class Problem(Exception):
    """An answer that says what was wanted, what came and what to do."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None) -> None:
        super().__init__(detail)
        self.status, self.detail, self.retry_after = status, detail, retry_after

    def response(self) -> JSONResponse:
        """For a route or a middleware."""
        headers = {} if self.retry_after is None else {"Retry-After": str(self.retry_after)}
        if self.status == HTTPStatus.UNAUTHORIZED:
            headers["WWW-Authenticate"] = "Bearer"
        content = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
        }
        return JSONResponse(
            content, self.status, headers=headers, media_type="application/problem+json"
        )


def problem_of(error: FourfoldError) -> Problem:
    """400 for words that are wrong, 422 for a file that cannot be used."""
    status = 400 if isinstance(error, UsageError) else 422
    return Problem(status, str(error))


def add_handlers(app: FastAPI) -> None:
    """Let every error of `app` be a problem."""

    @app.exception_handler(Problem)
    async def _problem(_request: Request, error: Problem) -> JSONResponse:
        return error.response()

    @app.exception_handler(FourfoldError)
    async def _ours(_request: Request, error: FourfoldError) -> JSONResponse:
        return problem_of(error).response()

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> JSONResponse:
        response = Problem(error.status_code, str(error.detail)).response()
        response.headers.update(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            path = request.url.path.removeprefix(request.scope.get("root_path", ""))
            response.headers["Allow"] = ", ".join(_methods(app, path))
        return response

    @app.exception_handler(RequestValidationError)
    async def _invalid(_request: Request, error: RequestValidationError) -> JSONResponse:
        said = "; ".join(f"{item['loc'][-1]}: {item['msg']}" for item in error.errors())
        return Problem(422, said).response()


def _methods(app: FastAPI, path: str) -> list[str]:
    """All that a path answers; the router names those of the first route that fits."""
    found = {"GET"} if not path.startswith("/v1/") else set()
    for template, methods in app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found |= {method.upper() for method in methods}
    return sorted(found)


PROBLEM: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "What is wrong, as problem details (RFC 9457)",
        "content": {
            "application/problem+json": {
                "schema": {
                    "type": "object",
                    "required": ["title", "status", "detail"],
                    "properties": {
                        "type": {"type": "string"},
                        "title": {"type": "string"},
                        "status": {"type": "integer"},
                        "detail": {"type": "string"},
                    },
                }
            }
        },
    }
}
"""For the OpenAPI document."""


__all__ = ["PROBLEM", "Problem", "add_handlers", "problem_of"]
