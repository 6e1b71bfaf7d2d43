"""Who may ask what: checked before any route, with headers that keep results from being pages."""

from __future__ import annotations

import hmac
import re
from http.cookies import CookieError, SimpleCookie
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fourfold.server.problems import Problem
from fourfold.server.settings import Settings, owner_of

HEADER: Final = "X-Fourfold"
"""What the page sends with every change. A form of another site cannot set it, and its script may
not without a permission (CORS) that is never given."""
COOKIE: Final = "fourfold-token"

_SAFE: Final = ("GET", "HEAD", "OPTIONS")
_OPEN: Final = re.compile(r"/|/page/[\w.-]+|/healthz|/openapi\.json|/favicon\.ico")
"""What needs no token: nothing of anybody's."""

_ONE_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-\d{1,18})")

PAGE_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "media-src 'self' blob:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
_FILE_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"
_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """Middleware: refuses, or hands on with `scope["state"]["owner"]` set."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app, self._settings = app, settings
        self._owners = {token.encode(): owner_of(token) for token in settings.tokens}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        root = self._settings.path
        path = scope["path"].removeprefix(root) or "/"  # a proxy may strip it or leave it
        scope["root_path"], scope["path"] = root, root + path
        try:
            self._check_origin(headers)
            owner = self._owner(headers)
            self._check_rights(scope["method"], path, headers, owner)
        except Problem as problem:
            await problem.response()(scope, receive, _sealed(send, path))
            return
        scope.setdefault("state", {})["owner"] = owner or ""
        if not _is_range(headers.get("range", "bytes=0-")):
            # A range may be ignored (RFC 9110, 14.2); many or odd ones are work for nothing.
            scope["headers"] = [pair for pair in scope["headers"] if pair[0] != b"range"]
        await self._app(scope, receive, _sealed(send, path))

    def _check_origin(self, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._settings.knows_host(_name(host)):
            raise Problem(
                403,
                f"Host: {host[:200]!r} is not a name of this service; --allow-host NAME makes it one",
            )
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            raise Problem(403, "Sec-Fetch-Site: other sites may not use this service")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
            raise Problem(403, f"Origin: {origin[:200]!r} may not use this service")

    def _owner(self, headers: Headers) -> str | None:
        """Whose request it is: by header or cookie; None where it does not say."""
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self.owner(given.strip())
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return None if cookie is None else self.owner(cookie.value)

    def owner(self, token: str) -> str | None:
        """The user a token stands for; None for one that is wrong. Takes equal time for all."""
        found = [
            owner
            for known, owner in self._owners.items()
            if hmac.compare_digest(known, token.encode("utf-8", "surrogateescape"))
        ]
        return found[0] if found else None

    def _check_rights(self, method: str, path: str, headers: Headers, owner: str | None) -> None:
        if self._owners and owner is None and not _OPEN.fullmatch(path):
            raise Problem(401, "want the service's token: Authorization: Bearer TOKEN")
        by_header = owner is not None and "authorization" in headers
        if method not in _SAFE and HEADER not in headers and not by_header:
            raise Problem(403, f"want the header {HEADER}: 1, or a token, with {method}")


def _is_range(value: str) -> bool:
    """Whether it is one range, and not backwards."""
    match = _ONE_RANGE.fullmatch(value)
    return match is not None and not (match[2] and int(match[2]) < int(match[1]))


def _name(host: str) -> str:
    """The host without its port."""
    match = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::\d+)?|([^:\[\]]+)(?::\d+)?", host)
    return "" if match is None else match[1] or match[2]


def _sealed(send: Send, path: str) -> Send:
    async def sealed(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            page = path == "/" or path.startswith("/page/")
            headers["Content-Security-Policy"] = PAGE_POLICY if page else _FILE_POLICY
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("Cache-Control", "no-cache" if page else "private, no-store")
        await send(message)

    return sealed


__all__ = ["COOKIE", "HEADER", "PAGE_POLICY", "Guard"]
