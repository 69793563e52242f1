"""`python -m cortex_server`: serve, look after the database, print the generated documentation."""

import os
import sys

import click

from cortex_server.config import Config, ConfigError
from cortex_server.db.files import StartRefused


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


@main.group()
def db() -> None:
    """Look after the database."""


@db.command()
def upgrade() -> None:
    """Bring the database to the schema of this program; a backup is made first."""
    from cortex_server.db import migrate
    from cortex_server.db.engine import make_engine
    from cortex_server.db.lock import DatabaseLock

    config = Config.load(os.environ)
    if config.database_path is not None:
        DatabaseLock(config.database_path).probe()
    migrate.prepare(config, make_engine(config.database_url))
    click.echo(f"The database is at revision {migrate.OURS.head}.")


@db.command()
def check() -> None:
    """Say where the log of the database stands."""
    from cortex_server import log
    from cortex_server.db.engine import make_engine

    config = _existing()
    with make_engine(config.database_url).connect() as conn:
        state = log.state(conn)
    click.echo(f"epoch {state.epoch}, head {state.head}, floor {state.floor}")


@db.command()
def epoch() -> None:
    """Print the epoch: it changes when clients must forget what they have seen."""
    from cortex_server import log
    from cortex_server.db.engine import make_engine

    config = _existing()
    with make_engine(config.database_url).connect() as conn:
        click.echo(log.state(conn).epoch)


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


def _existing() -> Config:
    """The settings. Raises ConfigError when there is no database yet: looking must not make one."""
    config = Config.load(os.environ)
    path = config.database_path
    if path is not None and not path.exists():
        raise ConfigError(f"There is no database at {path} yet; the server makes it.")
    return config


def run() -> None:
    """The commands, with refusals as one line on stderr and exit code 1."""
    try:
        main(prog_name="cortex", auto_envvar_prefix=None)  # `cortex serve` and `cortex db` run it
    except (ConfigError, StartRefused) as error:
        sys.exit(f"cortex: {error}")


if __name__ == "__main__":
    run()
