"""`fourfold serve`: a page and a REST interface on this machine."""

from __future__ import annotations

import logging
import re
import sys
from pathlib import Path

import typer

from fourfold.errors import MissingExtra, UsageError

HELP = """A page for people and a REST interface for programs, on this machine.

\b
fourfold serve --open                       the page, in a browser
fourfold serve --host 0.0.0.0 --token S     for other machines too, by token
"""

_LIMITS = "Limits"


def serve(
    host: str = typer.Option("127.0.0.1", metavar="ADDRESS", help="Others than loopback: --token."),
    port: int = typer.Option(8440, min=0, max=65535, help="0 takes a free one."),
    open_: bool = typer.Option(False, "--open", help="Open the page in a browser."),
    data_dir: Path | None = typer.Option(
        None, metavar="DIR", help="Where jobs and files are kept; by default with the user's data."
    ),
    token: list[str] = typer.Option(
        [],
        metavar="SECRET",
        envvar="FOURFOLD_TOKEN",
        help="Who may come in; each token sees only its own jobs. Several may be given.",
    ),
    allow_host: list[str] = typer.Option(
        [], metavar="NAME", help="Another name of this service, such as a reverse proxy's."
    ),
    path: str = typer.Option(
        "", metavar="/NAME", help="The path a reverse proxy shows the service under."
    ),
    keep: str = typer.Option(
        "24h",
        metavar="TIME",
        help="Then jobs that have ended are forgotten: 30m, 24h, 7d.",
        rich_help_panel=_LIMITS,
    ),
    max_upload: str = typer.Option(
        "200MB", metavar="SIZE", help="Of one file.", rich_help_panel=_LIMITS
    ),
    max_stored: str = typer.Option(
        "50GB", metavar="SIZE", help="Of all files.", rich_help_panel=_LIMITS
    ),
    max_waiting: int = typer.Option(
        1000, min=1, metavar="N", help="Jobs in the queue.", rich_help_panel=_LIMITS
    ),
    max_pixels: int = typer.Option(
        500_000_000, min=1, metavar="N", help="Of a result.", rich_help_panel=_LIMITS
    ),
    max_memory: str = typer.Option(
        "1GB",
        metavar="SIZE",
        help="Of a job; two pictures and a film run at once.",
        rich_help_panel=_LIMITS,
    ),
) -> int:
    """Answer until Ctrl-C; what is under way then goes on with the next start."""
    try:
        from fourfold.engine.memory import parse_size
        from fourfold.server.run import serve as answer
        from fourfold.server.settings import Settings
    except ImportError as error:
        if (error.name or "").startswith("fourfold"):
            raise
        raise MissingExtra("fourfold serve", "serve") from error
    settings = Settings(
        data=data_dir or _data_folder(),
        host=host,
        tokens=tuple(token),
        names=tuple(allow_host),
        path=path,
        keep_hours=_hours(keep),
        max_upload=parse_size(max_upload, "--max-upload"),
        max_stored=parse_size(max_stored, "--max-stored"),
        max_waiting=max_waiting,
        max_pixels=max_pixels,
        max_memory=max_memory,
    )
    _show_logs()

    def ready(bound: int) -> None:
        shown = f"[{host}]" if ":" in host else host
        address = f"http://{shown}:{bound}{path}/" + (f"?token={token[0]}" if token else "")
        print(address, flush=True)
        if open_:
            import webbrowser

            webbrowser.open(address)

    answer(settings, port=port, ready=ready)
    return 0


def _hours(text: str) -> float:
    """Of `30m`, `24h` or `7d`."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([mhd])\s*", text.lower())
    hours = float(match[1]) * {"m": 1 / 60, "h": 1, "d": 24}[match[2]] if match else 0
    if hours <= 0:
        raise UsageError(f"--keep: want a time such as 30m, 24h or 7d, got {text!r}")
    return hours


def _data_folder() -> Path:
    import platformdirs

    return Path(platformdirs.user_data_dir("fourfold")) / "serve"


def _show_logs() -> None:
    """One line of JSON for each request and each step of a job, on standard error."""
    from fourfold.cli.lines import json_line

    class Lines(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            text = record.getMessage()
            if record.exc_info:
                text = f"{text}: {self.formatException(record.exc_info)}"
            line = {"time": round(record.created, 3), "level": record.levelname.lower()}
            return json_line({**line, "from": record.name, "message": text})

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Lines())
    for name in ("fourfold.server", "uvicorn"):
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(logging.INFO if name == "fourfold.server" else logging.WARNING)
