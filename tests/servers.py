"""A local web server that knows Range requests and drops connections when told to."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class FlakyServer:
    """Serves `files`; each answer ends after `drop_after` bytes, as a bad line would."""

    def __init__(
        self,
        files: Mapping[str, bytes],
        *,
        drop_after: int | None = None,
        ranges: bool = True,
        fail_first: int = 0,
        redirects: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        more: bytes = b"",
    ) -> None:
        """`redirects` lead from a path to another; `headers` replace its own; `more` follows the file."""
        self.files, self.drop_after, self.ranges = files, drop_after, ranges
        self.redirects, self.headers, self.more = redirects or {}, headers or {}, more
        self.fail_first = fail_first
        self.requests = self.dropped = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outer.answer(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.requests += 1
        content = self.files.get(handler.path.removeprefix("/"))
        if self.requests <= self.fail_first:
            handler.send_error(503)
            return
        if handler.path in self.redirects:
            handler.send_response(302)
            handler.send_header("Location", self.redirects[handler.path])
            handler.end_headers()
            return
        if content is None:
            handler.send_error(404)
            return
        start = 0
        wanted = handler.headers.get("Range")
        if wanted and self.ranges:
            start = int(wanted.removeprefix("bytes=").rstrip("-"))
            if start >= len(content):
                handler.send_error(416)
                return
        handler.send_response(206 if start else 200)
        for name, value in {"Content-Length": str(len(content) - start), **self.headers}.items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        part = content[start:] + self.more
        if self.drop_after is not None and len(part) > self.drop_after:
            self.dropped += 1
            part = part[: self.drop_after]
        handler.wfile.write(part)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(timeout=10)
