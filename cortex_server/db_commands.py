"""`cortex db`: what a person does with a database. The work is in `cortex_server.db`."""

import functools
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from cortex_server.config import Config, ConfigError
from cortex_server.db.files import StartRefused

if TYPE_CHECKING:
    from cortex_server.db.install import Installed
    from cortex_server.db.place import Place

_Command = TypeVar("_Command", bound=Callable[..., Any])
_SIGNALLED = 128  # plus the number of the signal

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


@click.group("db")
def db() -> None:
    """Look after the database.

    The database is the one that CORTEX_DATABASE_URL names. Backup and check work beside a running
    server; the others need it stopped.
    """
    import logging.config

    from cortex_server import logs

    logs.configure()
    logging.config.dictConfig(logs.config_dict("warning"))


def _ends_well(command: _Command) -> _Command:
    """Let a signal end the command through every `finally`, and say that nothing was changed."""

    @functools.wraps(command)
    def run(*arguments: Any, **options: Any) -> Any:
        caught: list[int] = []

        def interrupt(number: int, _frame: Any) -> None:
            caught.append(number)
            raise KeyboardInterrupt

        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, interrupt)
        try:
            return command(*arguments, **options)
        except (Exception, KeyboardInterrupt) as error:
            if caught:  # SQLite turns what a handler raises into an error of its own
                _end(f"Interrupted; {_LEFT}.", _SIGNALLED + caught[0])
            if isinstance(error, ImportError) and error.name == "psycopg":
                _end("PostgreSQL needs psycopg: pip install 'cortex-board[postgres]'.", 1)
            if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
                _end(f"{error.filename or 'The system'}: {error.strerror}.", 1)
            raise

    return run  # type: ignore[return-value]


_LEFT = "the database is as it was"


def _end(message: str, code: int) -> NoReturn:
    click.echo(f"cortex: {message}", err=True)
    sys.exit(code)


@db.command()
@as_json
@_ends_well
def upgrade(as_json: bool) -> None:
    """Bring the database to the schema of this program.

    A backup is made first. The server does the same when it starts; on PostgreSQL it makes no
    backup.
    """
    from cortex_server.db import migrate
    from cortex_server.db.alone import alone
    from cortex_server.db.backup import back_up
    from cortex_server.db.place import place_of

    config = Config.load(os.environ)
    place = place_of(config.database_url)
    with alone(place):
        backup = None
        if place.path is None and place.revision() not in (None, migrate.OURS.head):
            backup = back_up(place, None, _backups(config), _now(), _progress()).path
        engine = place.engine()
        try:
            done = migrate.prepare(replace(config, database_url=place.url), engine)
        finally:
            engine.dispose()
    kept = str(done.backup or backup or "") or None
    if as_json:
        _print({"database": str(place), "before": done.before, "now": done.now, "backup": kept})
    elif done.before == done.now:
        click.echo(f"{_capital(place)} is at revision {done.now}: there is nothing to do.")
    else:
        came = f"from revision {done.before}" if done.before else "from nothing"
        click.echo(f"{_capital(place)} was brought {came} to {done.now}.")
        if kept:
            click.echo(f"A backup of it is {kept}.")


@db.command()
@as_json
@_ends_well
def check(as_json: bool) -> None:
    """Look for damage, in the file and in the log.

    Changes nothing and works beside a running server. The exit code is 1 when something is wrong.
    """
    from cortex_server.db.check import check as look

    place = _configured()
    report = look(place, _progress())
    if as_json:
        _print({"database": str(place), "ok": not report.problems, **asdict(report)})
    else:
        click.echo(f"{_capital(place)}, revision {report.revision}")
        click.echo(f"epoch {report.epoch}, head {report.head}, floor {report.floor}")
        for note in report.notes:
            click.echo(note)
        for problem in report.problems:
            click.echo(f"Wrong: {problem.what} {problem.remedy}")
        if not report.problems:
            click.echo(f"Everything is in order; {report.events} events.")
    if report.problems:
        sys.exit(1)


@db.command()
@_ends_well
def epoch() -> None:
    """Print the epoch of the database.

    It changes when clients must forget what they have seen.
    """
    from cortex_server.db.place import told

    place = _configured()
    with told(f"{place} cannot be read"), place.reading() as conn:
        click.echo(conn.exec_driver_sql("SELECT epoch FROM log_state").scalar_one())


@db.command()
@click.argument("to", required=False, type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace an older file of that name.")
@as_json
@_ends_well
def backup(to: Path | None, force: bool, as_json: bool) -> None:
    """Write a backup, while the server goes on.

    TO is a file or a directory; without it the file goes to `backups` in the data directory, named
    after the time and the newest position. It is one SQLite file, also of a PostgreSQL database,
    checked after it was written, and readable by you alone.
    """
    from cortex_server.db.backup import back_up

    config = Config.load(os.environ)
    place = _configured(config)
    os.nice(5)  # the server beside it comes first
    made = back_up(place, to, _backups(config), _now(), _progress(), force)
    if as_json:
        _print(
            {"backup": str(made.path), **asdict(made.state), "bytes": made.size,
             "seconds": round(made.seconds, 3)}
        )  # fmt: skip
    else:
        click.echo(str(made.path))
        size = f"{made.size / 1_048_576:.1f} MiB in {made.seconds:.1f} s"
        click.echo(f"epoch {made.state.epoch}, head {made.state.head}; {size}", err=True)


@db.command()
@click.argument("from", metavar="FROM", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="PostgreSQL: what is there may be replaced.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@as_json
@_ends_well
def restore(yes: bool, as_json: bool, **given: Any) -> None:
    """Put a backup in the place of the database.

    FROM is a backup of any older or this version. What was there is kept: a SQLite file beside the
    new one, of a PostgreSQL database a backup. The epoch is renewed: every client starts over.
    """
    from cortex_server.db.place import place_of
    from cortex_server.db.restore import restore as put_back

    config = Config.load(os.environ)
    source, target = place_of(str(given["from"])), place_of(config.database_url)
    _confirm(f"This puts {source} in the place of {target}.", yes)
    done = put_back(source, target, _backups(config), _now(), _progress(), given["replace"])
    _tell("restored", source, target, done, as_json)


@db.command()
@click.argument("from", metavar="FROM")
@click.argument("to", required=False)
@click.option("--renew-epoch", is_flag=True, help="Give the copy a new epoch; FROM goes on.")
@click.option("--replace", is_flag=True, help="What TO holds may be replaced; it is kept.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@as_json
@_ends_well
def copy(to: str | None, renew_epoch: bool, yes: bool, as_json: bool, **given: Any) -> None:
    """Copy a database, also from SQLite to PostgreSQL and back.

    FROM and TO are paths or URLs; TO is CORTEX_DATABASE_URL when absent. Epoch and positions are
    kept, so clients go on with the copy as if nothing had happened, and FROM is sealed: it is not
    served again before `cortex db unseal`. With --renew-epoch both go on, and the clients of the
    copy start over.
    """
    from cortex_server.db.copy import copy as copy_rows
    from cortex_server.db.place import place_of

    config = Config.load(os.environ)
    source = place_of(given["from"])
    target = place_of(to or config.database_url)
    if given["replace"]:
        _confirm(f"This replaces what is in {target}.", yes)
    done = copy_rows(
        source, target, _backups(config), _now(), _progress(), renew_epoch, given["replace"]
    )
    _tell("copied", source, target, done, as_json)
    if not (renew_epoch or as_json):
        click.echo(f"{_capital(source)} is sealed now; serve the copy instead.", err=True)


@db.command()
@click.argument("database", required=False)
@_ends_well
def unseal(database: str | None) -> None:
    """Let a database be served again that was copied with its epoch.

    It gets a new epoch, so that its clients do not take it for the copy. DATABASE is
    CORTEX_DATABASE_URL when absent.
    """
    from cortex_server.db.alone import alone
    from cortex_server.db.place import place_of
    from cortex_server.db.seal import lift

    place = place_of(database) if database else _configured()
    with alone(place):
        renewed = lift(place)
    click.echo(f"{_capital(place)} may be served again; its epoch is {renewed}.")


def _tell(verb: str, source: "Place", target: "Place", done: "Installed", as_json: bool) -> None:
    kept = str(done.kept) if done.kept else None
    if as_json:
        fields = {verb: str(source), "to": str(target), "epoch": done.epoch}
        _print({**fields, "head": done.before.head, "revision": done.before.revision, "kept": kept})
        return
    click.echo(f"{_capital(source)} was {verb} to {target}.")
    click.echo(f"epoch {done.epoch}, head {done.before.head}")
    if kept:
        click.echo(f"What was there before is {kept}.")


def _configured(config: Config | None = None) -> "Place":
    """The configured database. Raises ConfigError when there is none: looking must not make one."""
    from cortex_server.db.place import exists, place_of

    place = place_of((config or Config.load(os.environ)).database_url)
    if place.path is not None and not exists(place.path):
        raise ConfigError(f"There is no database at {place.path} yet; the server makes it.")
    return place


def _backups(config: Config) -> Path:
    return config.data_dir / "backups"


def _now() -> datetime:
    return datetime.now(UTC)


def _capital(place: "Place") -> str:
    text = str(place)
    return text[0].upper() + text[1:]


def _print(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2))


def _confirm(what: str, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError(f"{what} Without a terminal it needs --yes.")
    click.echo(what, err=True)
    if not click.confirm("Go on?", err=True):
        raise StartRefused("Nothing was changed.")


def _progress() -> Callable[[str, int, int], None]:
    """One line on a terminal that follows what takes long; nothing elsewhere."""
    from cortex_server.db.place import silent

    if not sys.stderr.isatty():
        return silent
    shown = ""

    def show(what: str, done: int, total: int) -> None:
        nonlocal shown
        line = f"{what} {done * 100 // max(total, 1)} %"
        if line != shown:
            shown = line
            # \r, and what is longer of the line before is wiped out; the end leaves an empty line
            click.echo("\r\x1b[K" + ("" if done >= total else line), nl=False, err=True)

    return show
