"""`cortex board`: the live board, or one picture of it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cortex_cli import remembered
from cortex_cli.context import App, api
from cortex_cli.options import Command

if TYPE_CHECKING:
    from cortex_cli import sdk


@click.command("board", cls=Command)
@click.option("--once", is_flag=True, help="Print the board once; so it is without a terminal.")
@click.option(
    "--ascii", "ascii_only", is_flag=True, help="No other characters; so does CORTEX_ASCII=1."
)
@click.option("--json", "as_json", is_flag=True, help="Print the board as JSON, once.")
@click.pass_obj
def command(app: App, once: bool, ascii_only: bool, as_json: bool) -> None:
    """Show the live board.

    Its keys are behind `?`. Without a terminal it is printed once.
    """
    printed = once or as_json or not (sys.stdin.isatty() and sys.stdout.isatty())
    # The live board draws before it reaches the server, so it must not ask it for the project.
    project = app.project() if printed else _named_or_remembered(app)
    code = show(app, project, once=once, as_json=as_json, ascii_only=ascii_only)
    click.get_current_context().exit(code)


def show(
    app: App,
    project: str | None,
    *,
    once: bool = False,
    as_json: bool = False,
    ascii_only: bool = False,
) -> int:
    """Show the board and return the exit code. Raises UsageError when the project is unclear."""
    from cortex_cli.board import app as board

    def connect() -> sdk.CortexClient:
        client = app.connect(quiet=True)  # a line on standard error would land on the screen
        _refresh(app, client, project)
        return client

    try:
        return board.run(
            connect,
            project,
            once=once,
            as_json=as_json,
            ascii_only=ascii_only or os.environ.get("CORTEX_ASCII") == "1",
            url=app.server_url(),
            environ=app.environ,
        )
    except board.NoProject as error:
        raise click.UsageError(str(error)) from None


def _named_or_remembered(app: App) -> str | None:
    here = Path.cwd().resolve()
    return app.named_project() or remembered.recall(app.server_url(), here, app.environ)


def _refresh(app: App, client: sdk.CortexClient, project: str | None) -> None:
    """Learn this directory's project, and forget one that is gone, for the next start.

    Runs beside the first frame; its failure is the board's own first request's as well.
    """
    from cortex_cli import sdk

    if app.named_project():
        return
    try:
        found = app.project_here(client.paginate(api("projects")))
    except sdk.CortexError:
        return
    if found is None and project is not None:
        for place in (here := Path.cwd().resolve(), *here.parents):
            remembered.note(app.server_url(), place, None, app.environ)
