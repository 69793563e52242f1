"""`cortex dashboard`: all projects at a glance, live or printed once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from cortex_cli.commands.config import in_effect
from cortex_cli.context import App
from cortex_cli.options import Command

if TYPE_CHECKING:
    from cortex_cli import sdk


@click.command("dashboard", cls=Command)
@click.option("--once", is_flag=True, help="Print it once; so it is without a terminal.")
@click.option(
    "--ascii", "ascii_only", is_flag=True, help="No other characters; so does CORTEX_ASCII=1."
)
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON, once.")
@click.option("--plain", is_flag=True, help="Print lines, then a line for each change, until ^C.")
@click.pass_obj
def command(app: App, once: bool, ascii_only: bool, as_json: bool, plain: bool) -> None:
    """Show all projects at a glance, live.

    Enter opens the board of a project. Without a terminal it is printed once.
    """
    settings = in_effect(app, ascii_only)
    if plain:
        if as_json:
            raise click.UsageError("--plain prints no JSON.")
        from cortex_cli.plain import print_dashboard

        code = print_dashboard(app.client, once=once, ascii_only=settings.ascii)
        click.get_current_context().exit(code)
    from cortex_cli.board import app as board

    def connect() -> sdk.CortexClient:
        return app.connect(quiet=True)  # a line on standard error would land on the screen

    code = board.run_dashboard(
        connect,
        once=once,
        as_json=as_json,
        url=app.server_url(),
        environ=app.environ,
        settings=settings,
    )
    click.get_current_context().exit(code)
