"""`cortex open`: the board in a browser."""

from __future__ import annotations

import sys
import webbrowser

import click

from cortex_cli.context import App, api
from cortex_cli.options import Command
from cortex_cli.output import clean, say


@click.command("open", cls=Command)
@click.option("--print", "only_print", is_flag=True, help="Print the address and open nothing.")
@click.pass_obj
def command(app: App, only_print: bool) -> None:
    """Open the board in a browser.

    The address logs in once and within seconds. Without a terminal it is printed.
    """
    ticket = app.client.post(api("login-tickets"))
    address = f"{app.client.base_url}{ticket['path']}"
    if not only_print and sys.stdout.isatty() and webbrowser.open(address):
        say("Opened in the browser.")
        return
    click.echo(clean(address))
    say(f"This address works once, within {ticket['expires_in_s']} s.")
