"""`python -m cortex_server`: serve, look after the database, print the generated documentation."""

import os
import sys

import click

from cortex_server.config import ConfigError
from cortex_server.db.files import StartRefused
from cortex_server.db_commands import db


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """The Cortex server."""


@main.command()
@click.option("--host", help="Address to bind to; beyond loopback needs --allow-remote.")
@click.option("--port", type=click.IntRange(0, 65535), help="Port to bind to; 0 takes a free one.")
@click.option("--database-url", help="sqlite:///PATH or postgresql+psycopg://…")
@click.option("--allow-remote", is_flag=True, help="Allow other machines to reach the server.")
def serve(host: str | None, port: int | None, database_url: str | None, allow_remote: bool) -> None:
    """Serve until a signal ends it."""
    given = {
        "CORTEX_HOST": host,
        "CORTEX_PORT": None if port is None else str(port),
        "CORTEX_DATABASE_URL": database_url,
        "CORTEX_ALLOW_REMOTE": "1" if allow_remote else None,
    }
    # into the environment, so that workers and reloads read the same
    os.environ.update({name: value for name, value in given.items() if value is not None})
    from cortex_server.serve import serve as run

    run(os.environ)


main.add_command(db)


@main.group()
def docs() -> None:
    """Print pages of the documentation that are made from the code."""


@docs.command()
def events() -> None:
    """Every event type, what emits it, and what it looks like on the wire."""
    from cortex_server.api.reference import events_page

    click.echo(events_page(), nl=False)


@docs.command(name="api")
def api_page() -> None:
    """Every address of the REST API."""
    from cortex_server.api.reference import api_page as page

    click.echo(page(), nl=False)


def run() -> None:
    """The commands, with refusals as one line on stderr and exit code 1."""
    try:
        main(prog_name="cortex", auto_envvar_prefix=None)  # `cortex serve` and `cortex db` run it
    except (ConfigError, StartRefused) as error:
        sys.exit(f"cortex: {error}")


if __name__ == "__main__":
    run()
