"""What becomes of a failure: a sentence on standard error and an exit code.

    0 done · 1 refused or failed · 2 usage · 3 no server · 4 not allowed · 5 not found
    6 conflict · 130 interrupted

A closed pipe is no failure: whoever read had enough.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from typing import IO, TYPE_CHECKING, Any

import click

from cortex_cli.output import say

if TYPE_CHECKING:
    from cortex_cli import sdk

INTERRUPTED = 130
SIGNALLED = 128  # plus the number of the signal


class Failed(click.ClickException):
    """The command cannot do what it was asked to; the message says what to do next."""


class NoServer(Failed):
    """There is no server, and none can be had."""

    exit_code = 3


class WrongSettings(Failed):
    """The configuration file cannot be used; the message names every mistake in it."""

    exit_code = 2


class Missing(Failed):
    """There is no such thing."""

    exit_code = 5


def unknown_command(name: str, known: Iterable[str], ctx: click.Context) -> click.UsageError:
    """Return the error for a command that does not exist, with the nearest that do."""
    near = get_close_matches(name, list(known), n=2, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return click.UsageError(f"There is no command {name!r}.{hint}", ctx=ctx)


def open_what_is_closed() -> None:
    """Give the standard streams that the caller closed, as in `>&-`, to /dev/null.

    Otherwise the first file or socket that is opened would become standard output.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            nothing = os.open(os.devnull, os.O_RDWR)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            stream = os.fdopen(number, "r" if number == 0 else "w", closefd=False)
            setattr(sys, name, stream)


def close_quietly() -> None:
    """Write out what is buffered; a stream that takes nothing must not change the exit code."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _let_go_of(stream)


def guard(body: Callable[[], Any]) -> int:
    """Run `body` and return the exit code of what it did or raised."""
    for stream in (sys.stdout, sys.stderr):
        _never_fail_to_encode(stream)
    stdout = sys.stdout
    code = 0
    try:
        code = _attempt(body)
        sys.stdout.flush()
    except SystemExit:
        if sys.stdout is stdout:
            raise
        sys.stdout = stdout  # click met a closed pipe and put a wrapper there
        _let_go_of(stdout)
        return 0
    except BrokenPipeError:
        _let_go_of(sys.stdout)
        return 0
    except OSError as error:  # the disk behind `> file` is full, …
        _let_go_of(sys.stdout)
        if code > SIGNALLED:
            return code  # the terminal has gone with its window, and nobody reads more of us
        say(f"cannot write: {error.strerror}")
        return 1
    return code


def _attempt(body: Callable[[], Any]) -> int:
    try:
        result = body()
    except click.UsageError as error:
        return _usage(error)
    except click.ClickException as error:
        say(error.format_message())
        return error.exit_code
    except (click.Abort, KeyboardInterrupt, EOFError):
        return INTERRUPTED
    except Exception as error:  # not by its class: naming that would import the SDK every time
        from cortex_cli import sdk

        if not isinstance(error, sdk.CortexError):
            raise
        say(explain(error))
        return error.exit_code
    return result if isinstance(result, int) else 0


def _usage(error: click.UsageError) -> int:
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        click.echo(error.format_message(), err=True)
        return error.exit_code
    if error.ctx is not None:
        path = error.ctx.command_path
        say(f"{error.format_message()}\nSee `{path} --help`.")
    else:
        say(error.format_message())
    return error.exit_code


def explain(error: sdk.CortexError) -> str:
    """Return what happened and what to do next, in one to a few lines."""
    from cortex_cli import sdk

    text = str(error)
    if isinstance(error, sdk.Unreachable) and not isinstance(error, sdk.Untrusted):
        return f"{text}\nIs the server running? Start it with `cortex up` or `cortex serve`."
    if isinstance(error, sdk.Invalid):
        told = [line for line in _field_errors(error) if line not in text]
        return "\n".join([text, *(f"  {line}" for line in told)])
    if isinstance(error, sdk.Conflict) and error.code == "outdated_revision":
        found = (error.current or {}).get("revision")
        fact = text.partition(";")[0]
        return f"{fact}.\nIt was changed meanwhile: look at it again and repeat." if found else text
    return text


def _field_errors(error: sdk.Invalid) -> list[str]:
    found = error.body.get("errors")
    rows = found if isinstance(found, list) else []
    return [f"{row.get('field')}: {row.get('message')}" for row in rows if isinstance(row, dict)]


def _never_fail_to_encode(stream: IO[str]) -> None:
    # A terminal that cannot show a character gets its number, never a traceback.
    reconfigure = getattr(stream, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")


def _let_go_of(stream: IO[str]) -> None:
    """Point the stream at nothing, so that the interpreter's last flush cannot fail."""
    try:
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, stream.fileno())
        os.close(nothing)
    except (OSError, ValueError):
        pass
