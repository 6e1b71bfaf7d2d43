"""`fourfold play`: a film in a player while it is made larger."""

from __future__ import annotations

import shutil
import subprocess
import sys
from contextlib import suppress
from typing import Final

import typer

from fourfold.errors import OutputError, UsageError

PLAYERS: Final = {
    "mpv": ("--force-seekable=no", "--", "-"),
    "ffplay": ("-loglevel", "warning", "-autoexit", "-i", "-"),
    "vlc": ("--play-and-exit", "-"),
}
"""Players that show what comes from standard input, in order of liking, and what they are told."""

_FAILED: Final = (1, 2, 3)
"""Codes of players that had nothing to show it on or could not play it; above, they were told to end."""

_ENDING: Final = 0.5
"""Seconds a finished command takes to be gone when the player has shown everything."""

HELP = """Show a film while it is made larger.

Takes what `fourfold upscale` takes, such as --fit and --start; without -n, the best model that keeps up.

\b
fourfold play clip.mp4 --fit 1080p
fourfold play clip.mp4 --start 1:30 --player vlc
"""


def play(
    context: typer.Context,
    film: str = typer.Argument(..., metavar="FILM", help="A film file."),
    player: str | None = typer.Option(
        None, metavar="NAME", help="mpv, ffplay or vlc; the first that is installed."
    ),
) -> int:
    """Run `upscale FILM -o -` into a player; ends with either of them."""
    command = _player(player)
    given = {word.partition("=")[0] for word in context.args}
    own = [] if given & {"-n", "--model", "--model_name", "--realtime"} else ["--realtime"]
    making = [sys.executable, "-m", "fourfold", "upscale", film, "-o", "-", *own, *context.args]
    with subprocess.Popen(making, stdout=subprocess.PIPE) as maker:
        assert maker.stdout is not None
        try:
            code = subprocess.run(command, stdin=maker.stdout, check=False).returncode
        except OSError as error:
            maker.terminate()
            raise UsageError(f"{command[0]}: cannot be started ({error.strerror})") from error
        with suppress(subprocess.TimeoutExpired):
            return maker.wait(_ENDING)
        # The player was closed; without a reader the work ends, and nothing has failed.
        maker.stdout.close()
    if code in _FAILED:
        raise OutputError(
            f"{command[0]}: could not show the film (code {code}); try another --player"
        )
    return 0


def _player(name: str | None) -> list[str]:
    if name is not None and name not in PLAYERS:
        raise UsageError(f"--player: want {', '.join(PLAYERS)}, got {name!r}")
    for known in PLAYERS if name is None else (name,):
        path = shutil.which(known)
        if path is not None:
            return [path, *PLAYERS[known]]
    wanted = "mpv, ffplay (of FFmpeg) or vlc" if name is None else name
    raise UsageError(
        f"play: want {wanted}, found none; install one, or give `fourfold upscale FILM -o -` to another"
    )
