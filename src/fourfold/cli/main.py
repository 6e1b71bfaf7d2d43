"""The `fourfold` command: one file per subcommand, errors as one line on stderr."""

from __future__ import annotations

import os
import sys
from typing import Any, Final, NoReturn

import typer

from fourfold._version import __version__
from fourfold.cli import (
    bench,
    data,
    demo,
    distill,
    doctor,
    evaluate,
    models,
    play,
    serve,
    train,
    upscale,
)
from fourfold.cli.argv import expand_several_values
from fourfold.cli.verbose import VERBOSE
from fourfold.errors import FourfoldError, command_line_words
from fourfold.logs import show_logs_as_the_environment_says

_INTERRUPTED: Final = 130

# Recent versions of Typer carry click inside, older ones depend on it; the common ancestor of the
# errors of usage is reached through a name that both export.
_CommandLineError: Any = next(
    c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException"
)

_GREETING: Final = """\
fourfold makes pictures and films larger, with SRGAN.

  fourfold demo                          shipped pictures, before and after
  fourfold upscale photo.jpg             photo_x4.jpg beside it
  fourfold upscale clip.mp4 --fit 1080p  a film, with its sound

`fourfold --help` lists all commands; each has a --help of its own."""

app = typer.Typer(
    name="fourfold",
    help="Make photographs, folders and films 2x, 4x or 8x larger with SRGAN; train and score it.",
    invoke_without_command=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"fourfold {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version."
    ),
    verbose: bool = VERBOSE,
) -> None:
    """Make photographs, folders and films larger with SRGAN; train and score it."""
    if context.invoked_subcommand is None:
        typer.echo(_GREETING)


app.command(help=upscale.HELP)(upscale.upscale)
app.command(
    help=play.HELP,
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)(play.play)
app.command()(demo.demo)
app.command()(train.train)
app.command()(distill.distill)
app.command()(evaluate.evaluate)
app.add_typer(data.app, name="data")
app.add_typer(models.app, name="models")
app.command(help=serve.HELP)(serve.serve)
app.command()(bench.bench)
app.command()(doctor.doctor)


def main() -> NoReturn:
    """Entry point: 0 all done, 1 some inputs failed, 2 bad usage, 130 interrupted."""
    _open_closed_streams()
    code = run(sys.argv[1:])
    if code == _INTERRUPTED:
        # A tile may still be computed by native threads, which abort the process where the
        # interpreter takes their runtime down; what the command wrote is closed or removed by now.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _open_closed_streams() -> None:
    """Put the null device where the caller has closed a standard stream, or files would get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123


def run(arguments: list[str]) -> int:
    """Run one command line and return its exit code."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
    except KeyboardInterrupt:
        code = _INTERRUPTED
    except OSError as error:
        # What is left in the buffer must not fail again when the interpreter ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            _say(f"{error.filename or 'standard output'}: {error.strerror or error}")
        return 1
    if code == _INTERRUPTED:
        _say("interrupted; finished outputs are kept, the same command continues")
    return code


def _run(arguments: list[str]) -> int:
    try:
        show_logs_as_the_environment_says()
        arguments = expand_several_values(arguments)
        with command_line_words():
            result = app(arguments, standalone_mode=False, prog_name="fourfold")
    except FourfoldError as error:
        _say(str(error))
        return error.exit_code
    except typer.Exit as error:
        return error.exit_code
    except _CommandLineError as error:
        near = getattr(error, "possibilities", None)  # of a mistyped option
        name = getattr(error, "option_name", "")
        message = (
            f"No such option: {name}. Did you mean {near[0]}?" if near else error.format_message()
        )
        if message:  # empty when a bare command has just printed its help
            _say(f"{message} (see `fourfold --help`)")
        return 2
    except typer.Abort:
        return _INTERRUPTED
    return result if isinstance(result, int) else 0


def _say(message: str) -> None:
    print(f"fourfold: {' '.join(message.split())}", file=sys.stderr)


__all__ = ["app", "main", "run"]
