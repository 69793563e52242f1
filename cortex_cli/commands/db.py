"""`cortex db`: the server's own commands for its database."""

from __future__ import annotations

import os
import sys

import click

from cortex_cli.local_server import module_argv


@click.command(
    "db",
    add_help_option=False,  # the server's own help is the help
    context_settings={"ignore_unknown_options": True, "allow_extra_args": True},
)
@click.argument("rest", nargs=-1, type=click.UNPROCESSED, metavar="COMMAND [OPTION]...")
def command(rest: tuple[str, ...]) -> None:
    """Look after the database.

    `cortex db --help` lists what can be done. It works on the database itself, not through the
    server.
    """
    sys.stdout.flush()
    argv = [*module_argv(), "db", *rest]
    os.execv(argv[0], argv)  # noqa: S606
