"""`cortex down`: stop the server in the background."""

from __future__ import annotations

import click

from cortex_cli import local_server
from cortex_cli.context import App
from cortex_cli.failures import Failed
from cortex_cli.options import Command
from cortex_cli.output import say


@click.command("down", cls=Command)
@click.pass_obj
def command(app: App) -> None:
    """Stop the server that `cortex up` started.

    It returns when the server is gone; every change that was acknowledged is on disk.
    """
    url = app.server_url()
    server = local_server.LocalServer.at(url, app.environ)
    if server.stop():
        say("The server has stopped.")
    elif local_server.is_ready(url):
        raise Failed(f"`cortex up` did not start the server at {url}: stop it where it runs.")
    else:
        say("The server is not running.")
