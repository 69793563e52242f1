"""`cortex board`: the live board, or one picture of it."""

from __future__ import annotations

import os
import sys

import click

from cortex_cli.context import App
from cortex_cli.options import Command


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
    # The live board draws before it knows the projects, so it must not wait for them here.
    project = app.project() if printed else app.named_project()
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

    try:
        return board.run(
            app.connect,
            project,
            once=once,
            as_json=as_json,
            ascii_only=ascii_only or os.environ.get("CORTEX_ASCII") == "1",
            url=app.server_url(),
            environ=app.environ,
        )
    except board.NoProject as error:
        raise click.UsageError(str(error)) from None
