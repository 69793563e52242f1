"""`cortex serve`: the server, in the foreground."""

from __future__ import annotations

import os
import sys

import click

from cortex_cli.local_server import server_argv


@click.command(
    "serve",
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.option("--host", metavar="ADDRESS", help="Where to listen; 127.0.0.1 when absent.")
@click.option("--port", metavar="PORT", help="4747 when absent.")
@click.option("--database-url", metavar="URL", help="SQLite in the data directory when absent.")
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="[OPTION]...")
def command(
    host: str | None, port: str | None, database_url: str | None, rest: tuple[str, ...]
) -> None:
    """Run the server in the foreground.

    Every setting can come from the environment, CORTEX_HOST and so on. Further options go to
    the server as they are.
    """
    given = {"--host": host, "--port": port, "--database-url": database_url}
    options = [word for name, value in given.items() if value for word in (name, value)]
    sys.stdout.flush()
    argv = [*server_argv(), *options, *rest]
    os.execv(argv[0], argv)  # noqa: S606
