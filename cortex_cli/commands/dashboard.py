"""`cortex dashboard`: all projects at a glance, live or printed once."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

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
@click.pass_obj
def command(app: App, once: bool, ascii_only: bool, as_json: bool) -> None:
    """Show all projects at a glance, live.

    Enter opens the board of a project. Without a terminal it is printed once.
    """
    from cortex_cli.board import app as board

    def connect() -> sdk.CortexClient:
        return app.connect(quiet=True)  # a line on standard error would land on the screen

    code = board.run_dashboard(
        connect,
        once=once,
        as_json=as_json,
        ascii_only=ascii_only or os.environ.get("CORTEX_ASCII") == "1",
        url=app.server_url(),
        environ=app.environ,
    )
    click.get_current_context().exit(code)
