"""`cortex db`: the server's own commands for its database.

They run in the server's program, which alone knows the database. What stands here is for the help,
the completion and the reference; a test compares it with the server's own.
"""

from __future__ import annotations

import os
import sys
from typing import Any, NoReturn

import click

from cortex_cli.local_server import module_argv
from cortex_cli.options import Noun

_TO = click.Path()


class _Handed(click.Command):
    """A command that hands its words to the server's program as they are."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta["cortex.words"] = list(args)
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> NoReturn:
        sys.stdout.flush()
        argv = [*module_argv(), "db", str(ctx.info_name), *ctx.meta["cortex.words"]]
        os.execv(argv[0], argv)  # noqa: S606


class _Database(Noun):
    command_class = _Handed  # type: ignore[assignment]


@click.group("db", cls=_Database)
def command() -> None:
    """Look after the database.

    The database is the one that CORTEX_DATABASE_URL names. Backup and check work beside a running
    server; the others need it stopped.
    """


def _flag(*names: str, help: str) -> Any:
    return click.option(*names, is_flag=True, help=help)


_json = _flag("--json", "as_json", help="Print JSON.")
_yes = _flag("--yes", "-y", help="Do not ask.")


@command.command()
@_json
def upgrade(**_given: Any) -> None:
    """Bring the database to the schema of this program.

    A backup is made first. The server does the same when it starts; on PostgreSQL it makes no
    backup.
    """


@command.command()
@_json
def check(**_given: Any) -> None:
    """Look for damage, in the file and in the log.

    Changes nothing and works beside a running server. The exit code is 1 when something is wrong.
    """


@command.command()
def epoch(**_given: Any) -> None:
    """Print the epoch of the database.

    It changes when clients must forget what they have seen.
    """


@command.command()
@click.argument("to", required=False, type=_TO)
@_flag("--force", help="Replace an older file of that name.")
@_json
def backup(**_given: Any) -> None:
    """Write a backup, while the server goes on.

    TO is a file or a directory; without it the file goes to `backups` in the data directory, named
    after the time and the newest position. It is one SQLite file, also of a PostgreSQL database,
    checked after it was written, and readable by you alone.
    """


@command.command()
@click.argument("from", metavar="FROM", type=_TO)
@_flag("--replace", help="PostgreSQL: what is there may be replaced.")
@_yes
@_json
def restore(**_given: Any) -> None:
    """Put a backup in the place of the database.

    FROM is a backup of any older or this version. What was there is kept: a SQLite file beside the
    new one, of a PostgreSQL database a backup. The epoch is renewed: every client starts over.
    """


@command.command()
@click.argument("from", metavar="FROM", type=_TO)
@click.argument("to", required=False, type=_TO)
@_flag("--renew-epoch", help="Give the copy a new epoch; FROM goes on.")
@_flag("--replace", help="What TO holds may be replaced; it is kept.")
@_yes
@_json
def copy(**_given: Any) -> None:
    """Copy a database, also from SQLite to PostgreSQL and back.

    FROM and TO are paths or URLs; TO is CORTEX_DATABASE_URL when absent. Epoch and positions are
    kept, so clients go on with the copy as if nothing had happened, and FROM is sealed: it is not
    served again before `cortex db unseal`. With --renew-epoch both go on, and the clients of the
    copy start over.
    """


@command.command()
@click.argument("database", required=False, type=_TO)
def unseal(**_given: Any) -> None:
    """Let a database be served again that was copied with its epoch.

    It gets a new epoch, so that its clients do not take it for the copy. DATABASE is
    CORTEX_DATABASE_URL when absent.
    """
