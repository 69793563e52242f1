"""`cortex board`: the live board, or one picture of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cortex_cli import remembered
from cortex_cli.commands.config import in_effect
from cortex_cli.context import App, api
from cortex_cli.options import Command

if TYPE_CHECKING:
    from cortex_cli import sdk
    from cortex_cli.board.settings import Settings


@click.command("board", cls=Command)
@click.option("--once", is_flag=True, help="Print the board once; so it is without a terminal.")
@click.option(
    "--ascii", "ascii_only", is_flag=True, help="No other characters; so does CORTEX_ASCII=1."
)
@click.option("--all", "everything", is_flag=True, help="All projects in one board.")
@click.option("--json", "as_json", is_flag=True, help="Print the board as JSON, once.")
@click.option("--plain", is_flag=True, help="Print lines, then a line for each change, until ^C.")
@click.pass_obj
def command(
    app: App, once: bool, ascii_only: bool, everything: bool, as_json: bool, plain: bool
) -> None:
    """Show the live board.

    `?` shows its keys, `:` finds what they do, `man cortex-board` has them all. They can be
    changed in the configuration file: `cortex config path` says where it is, `cortex config show`
    what is in effect. Without a terminal the board is printed once. --plain is for screen readers
    and logs: no boxes, no colours, nothing moves; with --once it ends after the board.
    """
    settings = in_effect(app, ascii_only)
    if plain:
        if as_json or everything:
            raise click.UsageError("--plain prints one project, and no JSON.")
        from cortex_cli.plain import print_board

        code = print_board(app.client, app.project(), once=once, ascii_only=settings.ascii)
        click.get_current_context().exit(code)
    printed = once or as_json or not (sys.stdin.isatty() and sys.stdout.isatty())
    # The live board draws before it reaches the server, so it must not ask it for the project.
    alone = printed and not everything
    project = app.project() if alone else _named_or_remembered(app)
    code = show(
        app,
        project,
        once=once,
        as_json=as_json,
        everything=everything,
        settings=settings,
    )
    click.get_current_context().exit(code)


def show(
    app: App,
    project: str | None,
    *,
    once: bool = False,
    as_json: bool = False,
    everything: bool = False,
    settings: Settings | None = None,
) -> int:
    """Show the board and return the exit code.

    Raises UsageError when the project is unclear, WrongSettings when the configuration file is.
    """
    from cortex_cli.board import app as board

    def connect() -> sdk.CortexClient:
        return app.connect(quiet=True)  # a line on standard error would land on the screen

    try:
        return board.run(
            connect,
            project,
            once=once,
            as_json=as_json,
            url=app.server_url(),
            environ=app.environ,
            everything=everything,
            settings=settings or in_effect(app),
            answered=lambda client: _refresh(app, client, project),
        )
    except board.NoProject as error:
        raise click.UsageError(str(error)) from None


def _named_or_remembered(app: App) -> str | None:
    here = Path.cwd().resolve()
    return app.named_project() or remembered.recall(app.server_url(), here, app.environ)


def _refresh(app: App, client: sdk.CortexClient, project: str | None) -> None:
    """Learn this directory's project, and forget one that is gone, for the next start.

    Runs once the board was answered, which would otherwise wait for this.
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
