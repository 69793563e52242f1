"""`cortex watch`: events, for people and for pipes."""

from __future__ import annotations

import os
import shlex
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import click

from cortex_cli import completion, tail
from cortex_cli.context import App, ticket_project
from cortex_cli.options import Command
from cortex_cli.output import say


@click.command("watch", cls=Command)
@click.option(
    "--types", multiple=True, metavar="TYPE,...", shell_complete=completion.types,
    help="Only these: ticket.*,session.status",
)  # fmt: skip
@click.option("--ticket", shell_complete=completion.tickets, help="Only this ticket's.")
@click.option("--all", "everywhere", is_flag=True, help="Of all projects.")
@click.option(
    "--since", metavar="ID", default="now", show_default=True,
    help="Begin after this event; 0 is the oldest there is.",
)  # fmt: skip
@click.option(
    "--since-file", type=click.Path(dir_okay=False, path_type=Path),
    help="Begin after the id in this file, and keep it up to date.",
)  # fmt: skip
@click.option(
    "--json", "form", flag_value="json", help="A line of JSON each; the default in a pipe."
)
@click.option("--raw", "form", flag_value="raw", help="The frames as they came.")
@click.option(
    "--pretty", "form", flag_value="pretty", help="For people; the default on a terminal."
)
@click.option("--count", type=click.IntRange(min=1), help="End after so many.")
@click.option(
    "--retries", type=click.IntRange(min=0), default=8, show_default=True,
    help="Give up (exit 3) after so many failures in a row; 0 is never.",
)  # fmt: skip
@click.option(
    "--exec", "run", metavar="COMMAND", help="Run this for each event instead of printing."
)
@click.option("--deltas", is_flag=True, help="Also messages while they are being written.")
@click.pass_obj
def command(
    app: App, types: tuple[str, ...], ticket: str | None, everywhere: bool, since: str,
    since_file: Path | None, form: str | None, count: int | None, retries: int, run: str | None,
    deltas: bool,
) -> None:  # fmt: skip
    """Print events as they happen.

    Without --project, CORTEX_PROJECT or a project for this directory it watches all of them.

    To miss nothing across restarts, give it --since-file: the id in it moves on only after the
    line was written, or after the command of --exec succeeded. --exec splits COMMAND as a shell
    would but runs it without one; it gets the event's JSON on standard input, and
    CORTEX_EVENT_ID, _TYPE, _PROJECT, _TICKET, _SEQ, _AT, _ACTOR_KIND and _ACTOR_NAME. When it
    fails, watch ends (exit 1) before that event. Where events are missing because the server
    no longer has them, a line of type "reset" says so.
    """
    emit = _emit(form, run)
    _warn_of_unknown(types)
    cursor = tail.CursorFile(since_file) if since_file else None
    ticket = ticket or app.environ.get("CORTEX_TICKET")
    if ticket is not None:
        ticket = app.ticket(ticket)
    project, start = _scope(app, ticket, everywhere, cursor, since, retries or None)
    say(f"watching {ticket or project or 'every project'} at {app.client.base_url}")
    stream = app.client.events(
        project=project, types=",".join(types) or None, ticket=ticket, since=start,
        deltas="*" if deltas else None, snapshot=False, retries=retries or None,
    )  # fmt: skip
    with stream:
        tail.end_with_the_reader(stream)
        code = tail.Tail(emit, cursor, count).follow(stream, start)
    click.get_current_context().exit(code)


def _scope(
    app: App, ticket: str | None, everywhere: bool, cursor: tail.CursorFile | None, since: str,
    retries: int | None,
) -> tuple[str | None, str]:  # fmt: skip
    """Return the project to watch, None for all of them, and the cursor to begin after."""
    named = app.project_option or (ticket and ticket_project(ticket)) or app.named_project()
    project = None if everywhere else named
    start = cursor.read() if cursor else None
    if start is None and since != "now" and not since.isdecimal():
        start = since
    if start is None or not (project or everywhere):
        # The server has to be asked, and may not be up yet.
        hello = tail.greet(app.client, project, ticket, retries)
        start = start or tail.start_of(hello, since)
    if project is None and not everywhere:
        project = app.project_here(app.projects())
    return project, start


def _emit(form: str | None, run: str | None) -> tail.Emit:
    if run is not None:
        try:
            argv = shlex.split(run)
        except ValueError as error:
            raise click.UsageError(f"--exec cannot be read: {error}.") from None
        if not argv:
            raise click.UsageError("--exec needs a command.")
        return tail.command_runner(argv, os.environ)
    forms = {"json": tail.json_line, "raw": tail.raw_frame, "pretty": tail.readable_line}
    return forms[form or ("pretty" if sys.stdout.isatty() else "json")]


def _warn_of_unknown(types: tuple[str, ...]) -> None:
    # Not refused: a newer server may know more.
    for name in filter(None, ",".join(types).split(",")):
        if not any(fnmatchcase(known, name) for known in completion.EVENT_TYPES):
            say(f"no event of this version is called {name}")
