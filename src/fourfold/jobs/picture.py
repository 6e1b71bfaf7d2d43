"""One picture from file to file in three steps that can overlap: prepare, enlarge, finish."""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from fourfold.engine.upscaler import Upscaler
from fourfold.errors import InputError, OutputError, option
from fourfold.files.parts import locked_part
from fourfold.files.paths import STDIO, atomic_path
from fourfold.jobs.claims import Claims, claim
from fourfold.jobs.engines import Engines
from fourfold.jobs.looks import Engine, engine_for, look_at_picture
from fourfold.jobs.naming import Target, check_pixels, plan_target
from fourfold.jobs.outcome import Outcome, Report, Ticks
from fourfold.jobs.records import Record, engine_record, input_record, write_record
from fourfold.jobs.request import Request
from fourfold.jobs.sheet import STORE_SHARE, Sheet, enlarge_sheet
from fourfold.jobs.size import work
from fourfold.pictures.decode import decode
from fourfold.pictures.encode import encode
from fourfold.pictures.source import Source, open_source
from fourfold.pictures.tiff import join_tiffs


@dataclass(slots=True, kw_only=True)
class Picture:
    """A picture under way. `close` removes its scratch files; call it whatever happens."""

    request: Request
    upscaler: Upscaler
    why: str
    """It runs on this one."""
    target: Target
    record: Record
    sheets: list[Sheet]
    folder: Path
    """Where scratch files go."""
    held: ExitStack

    def enlarge(self, report: Report | None, stop: threading.Event | None) -> None:
        """Run the network over all pages and resize the result."""
        scale = self.upscaler.scale
        pixels = sum(
            work((s.source.height, s.source.width), (s.height, s.width), scale) * s.source.pages
            for s in self.sheets
        )
        ticks = Ticks(
            self.request.name,
            pixels * scale**2,
            report,
            model=self.upscaler.network.name,
            why=self.why,
        )
        for sheet in self.sheets:
            enlarge_sheet(sheet, self.folder, self.upscaler, ticks, stop)

    def finish(self, stop: threading.Event | None) -> Outcome:
        """Encode and rename; the result is whole or absent."""
        target, content = self.target, None
        if target.path is not None:
            with atomic_path(target.path) as part:
                notes = _write(self, part, stop)
        else:
            part = self.folder / f"out{target.form.suffixes[0]}"
            notes = _write(self, part, stop)
            if self.request.target != STDIO:
                content = part.read_bytes()
            else:
                with part.open("rb") as file:
                    shutil.copyfileobj(file, sys.stdout.buffer, 1 << 20)
                sys.stdout.buffer.flush()
        return Outcome(
            input=self.request.name,
            status="done",
            path=target.path,
            content=content,
            width=target.width,
            height=target.height,
            pages=sum(sheet.source.pages for sheet in self.sheets),
            model=self.upscaler.network.name,
            why=self.why,
            notes=(*target.notes, *self._network_notes(), *notes),
        )

    def _network_notes(self) -> tuple[str, ...]:
        sizes = {(sheet.source.height, sheet.source.width): None for sheet in self.sheets}
        return tuple(dict.fromkeys(note for size in sizes for note in self.upscaler.notes(*size)))

    def close(self) -> None:
        """Free pixels, scratch files and the claim."""
        with self.held:  # the claim goes though scratch files may not
            for sheet in self.sheets:
                sheet.close()


def prepare(
    request: Request, engines: Engines, claims: Claims, *, stop: threading.Event | None = None
) -> Picture:
    """Read the header, choose the model, decide what comes out, claim the result, decode.

    Raises `Finished` when the result exists and is kept, `Busy` when another process makes it;
    `InputError` and `OutputError` as their parts do.
    """
    with open_picture(request) as source:
        upscaler, why = picture_engine(request, source, engines)
        target = target_of(request, source, upscaler)
        picture = Picture(
            request=request,
            upscaler=upscaler,
            why=why,
            target=target,
            record=picture_record(request, target, upscaler),
            sheets=[],
            folder=Path(),
            held=ExitStack(),
        )
        try:
            picture.folder = _folder(picture, claims)
            _decode_sheets(picture, source, stop)
        except BaseException:
            picture.close()
            raise
    return picture


@contextmanager
def open_picture(request: Request) -> Iterator[Source]:
    """The source described; see `open_source`."""
    content = request.source if isinstance(request.source, bytes) else None
    if request.source == STDIO:
        content = sys.stdin.buffer.read()
    name = Path("standard input") if request.source == STDIO else Path(request.name)
    with open_source(request.path or name, content) as source:
        yield source


def picture_engine(request: Request, source: Source, engines: Engines) -> Engine:
    """The engine for a picture, which is looked at where that is left to `auto`."""

    def place() -> Path | None:
        return target_of(request, source, engines.of(request)).path

    return engine_for(request, engines, lambda: look_at_picture(source), place)


def target_of(request: Request, source: Source, upscaler: Upscaler) -> Target:
    """See `plan_target`."""
    return plan_target(source, request, network_scale=upscaler.scale, memory=upscaler.max_memory)


def picture_record(request: Request, target: Target, upscaler: Upscaler) -> Record:
    """What makes the result of a picture what it is."""
    form, quality = target.form, request.quality
    if form.quality is None:
        quality = None
    elif form.name != "webp":  # without a quality, a lossless WebP stays lossless
        quality = quality or form.quality
    return {
        **engine_record(upscaler),
        **input_record(request),
        "size": [target.width, target.height],
        "format": form.name,
        "quality": quality,
    }


def _decode_sheets(picture: Picture, first: Source, stop: threading.Event | None) -> None:
    """All pages at once where they are alike, else one after another."""
    upscaler = picture.upscaler
    in_memory = int(upscaler.max_memory * STORE_SHARE)
    request, pixels = picture.request, 0
    for number in range(first.sheets):
        with ExitStack() as opened:
            source = first
            if first.sheets > 1:
                page = open_source(first.path, first.content, page=number)
                source = opened.enter_context(page)
                pixels += check_pixels(source, request, upscaler.scale)
                if pixels > request.max_pixels:
                    raise InputError(
                        f"{first.path}: its pages make more than {option('max_pixels')}"
                    )
            width, height = request.size.of(source.width, source.height, upscaler.scale)
            decoded = decode(source, folder=picture.folder, in_memory=in_memory, stop=stop)
            picture.sheets.append(Sheet(source=source, width=width, height=height, decoded=decoded))


def _folder(picture: Picture, claims: Claims) -> Path:
    """Make sure the result may be written; returns the folder its scratch files go to."""
    path, request = picture.target.path, picture.request
    if path is None:
        scratch = tempfile.TemporaryDirectory(prefix="fourfold-")
        return Path(picture.held.enter_context(scratch))
    try:
        claim(path, request, picture.record, claims, picture.held)
    except OSError as error:
        raise OutputError(f"{path}: cannot write ({error.strerror or error})") from error
    return path.parent


def _write(picture: Picture, part: Path, stop: threading.Event | None) -> tuple[str, ...]:
    """Encode into `part`; sheets of different sizes one by one, then joined."""
    form, notes = picture.target.form, dict[str, None]()
    quality = picture.request.quality
    with ExitStack() as scratch:
        pages = [part]
        if len(picture.sheets) > 1:
            parts = [locked_part(part.parent, part.suffix) for _ in picture.sheets]
            pages = [scratch.enter_context(page) for page in parts]
        for sheet, page in zip(picture.sheets, pages, strict=True):
            assert sheet.result is not None, "enlarge comes first"
            own = encode(sheet.result, sheet.source, page, form, quality=quality, stop=stop)
            notes.update(dict.fromkeys(own))
            sheet.close()
        if len(pages) > 1:
            join_tiffs(pages, part)
    write_record(part, picture.record)
    return tuple(notes)


__all__ = [
    "Picture",
    "open_picture",
    "picture_engine",
    "picture_record",
    "prepare",
    "target_of",
]
