"""A form with a file, streamed to disk as it comes: counted, hashed, and given up when it drags."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

from fastapi import Request
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect

from fourfold.server.folder import display_name
from fourfold.server.problems import Problem
from fourfold.server.settings import Settings

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_FIELD_BYTES: Final = 64 * 1024
_PARTS: Final = 8
_PIECE: Final = 256 * 1024
"""Bytes hashed and written by a thread; a disk that is busy must not stop other answers. Less, as of
a small picture, is not worth the way there."""
FILE, OPTIONS = "file", "options"


@dataclass(slots=True)
class Form:
    """What a client has sent."""

    name: str = ""
    """Of the file, harmless."""
    bytes: int = 0
    sha256: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class _Receiver:
    """Callbacks of the parser."""

    def __init__(self, out: BinaryIO, most: int) -> None:
        self.form = Form()
        self._out, self._most, self._hash = out, most, hashlib.sha256()
        self._header, self._value = b"", b""
        self._headers: dict[bytes, bytes] = {}
        self._part, self._parts = "", 0
        self._content = bytearray()

    def callbacks(self) -> MultipartCallbacks:
        return {
            "on_part_begin": self.on_part_begin,
            "on_header_field": self.on_header_field,
            "on_header_value": self.on_header_value,
            "on_header_end": self.on_header_end,
            "on_headers_finished": self.on_headers_finished,
            "on_part_data": self.on_part_data,
            "on_part_end": self.on_part_end,
            "on_end": self.on_end,
        }

    def on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > _PARTS:
            raise Problem(400, f"want at most {_PARTS} parts in a form")
        self._headers, self._content = {}, bytearray()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._header.lower()] = self._value
        self._header = self._value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._part = options.get(b"name", b"").decode("utf-8", "replace")
        if self._part != FILE:
            return
        if self.form.name:
            raise Problem(400, "want one file in a form, got several; send a form for each")
        self.form.name = display_name(options.get(b"filename", b"").decode("utf-8", "replace"))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        chunk = data[start:end]
        if self._part != FILE:
            self._content += chunk
            if len(self._content) > _FIELD_BYTES:
                raise Problem(413, f"{self._part[:40]}: want at most {_FIELD_BYTES} bytes")
            return
        self.form.bytes += len(chunk)
        if self.form.bytes > self._most:
            raise Problem(
                413, f"{self.form.name}: is larger than the {self._most} bytes taken here"
            )
        self._hash.update(chunk)
        self._out.write(chunk)

    def on_part_end(self) -> None:
        if self._part != FILE:
            self.form.fields[self._part] = self._content.decode("utf-8", "replace")

    def on_end(self) -> None:
        self.form.sha256 = self._hash.hexdigest()


async def receive(request: Request, path: Path, settings: Settings, *, most: int) -> Form:
    """Write the file of a form to `path`; `Problem` for anything but one file and small fields."""
    kind, options = parse_options_header(request.headers.get("content-type", ""))
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        raise Problem(415, "Content-Type: want multipart/form-data with a file")
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > most + _PARTS * _FIELD_BYTES:
        raise Problem(413, f"the file is larger than the {most} bytes taken here")
    with path.open("wb") as out:
        receiver = _Receiver(out, most)
        try:
            parser = MultipartParser(options[b"boundary"], receiver.callbacks())
            await _feed(request, parser, settings)
            parser.finalize()
        except FormParserError as error:
            raise Problem(400, f"not a readable form ({error})") from error
    form = receiver.form
    if not form.sha256:
        raise Problem(400, "the form breaks off before its end")
    if not form.name:
        raise Problem(400, "want a part called file, got none")
    return form


async def _feed(request: Request, parser: MultipartParser, settings: Settings) -> None:
    waiting = bytearray()
    async for chunk in chunks(request, settings):
        waiting += chunk
        if len(waiting) >= _PIECE:
            await run_in_threadpool(parser.write, bytes(waiting))
            waiting.clear()
    parser.write(bytes(waiting))


async def chunks(request: Request, settings: Settings) -> AsyncIterator[bytes]:
    """The body as it comes; `Problem` for one that stalls, crawls or breaks off."""
    stream = aiter(request.stream())
    started, count = time.monotonic(), 0
    while True:
        try:
            async with asyncio.timeout(settings.patience):
                chunk = await anext(stream, None)
        except TimeoutError as error:
            raise Problem(408, f"nothing has come for {settings.patience:g} seconds") from error
        except ClientDisconnect as error:
            raise Problem(400, "the body breaks off before its end") from error
        if chunk is None:
            return
        count += len(chunk)
        seconds = time.monotonic() - started
        if seconds > settings.grace and count / seconds < settings.least_rate:
            raise Problem(408, f"want at least {settings.least_rate} bytes a second")
        yield chunk


__all__ = ["FILE", "OPTIONS", "Form", "chunks", "receive"]
