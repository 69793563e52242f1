"""Brings the database to the schema of this program, or says why it cannot.

A migration is all or nothing: every step that is due runs in one transaction. An existing SQLite
file is copied first, to `<file>.before-<revision>-<time>`.
"""

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import structlog
from sqlalchemy import Connection, Engine, inspect, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from cortex_server.config import Config
from cortex_server.db.engine import WRITES, is_sqlite
from cortex_server.db.files import StartRefused, make_private_directory, narrow, sync_directory

_log = structlog.get_logger(__name__)
_MIGRATION_LOCK = 0x636F727465786D  # "cortexm": the PostgreSQL advisory lock of whoever migrates


@dataclass(frozen=True)
class Migrations:
    """scripts: Alembic's directory · revisions: of all its scripts, oldest first."""

    scripts: Path
    revisions: tuple[str, ...]

    @property
    def head(self) -> str:
        return self.revisions[-1]


# In front of the revision of a database that was copied away: then no program serves it.
SEALED = "sealed:"

OURS = Migrations(Path(__file__).parent / "migrations", ("0001", "0002", "0003", "0004", "0005"))


class DatabaseRefused(StartRefused):
    """A database that this program must not touch."""


class ForeignDatabase(DatabaseRefused):
    """The database of another program."""


@dataclass(frozen=True)
class Prepared:
    """before: the revision that was found; None where there was none · backup: made first."""

    before: str | None
    now: str
    backup: Path | None = None


def prepare(
    config: Config, engine: Engine, migrations: Migrations = OURS, now: datetime | None = None
) -> Prepared:
    """Bring a fresh, older or current database to the newest revision. Quick when it is current.

    now: the time in the name of the backup.
    Raises DatabaseRefused; then nothing was changed.
    """
    path = config.database_path
    if path is None:
        return _prepare_postgres(engine, migrations)
    if engine.url.database != str(path):
        raise DatabaseRefused(f"{path}: the path of a SQLite file must not hold a question mark.")
    _make_private(config, path)
    found = sqlite_revision(path)
    if _is_current(found, migrations, str(path)):
        return Prepared(found, migrations.head)
    backup = None
    if found is not None:
        backup = _back_up(path, f"{migrations.head}-{now or datetime.now(UTC):%Y%m%dT%H%M%SZ}")
    try:
        upgrade(engine, migrations)
    except Exception as error:  # whatever a migration raises, it was rolled back
        kept = f" A copy of it is {backup}." if backup else ""
        raise DatabaseRefused(
            f"{path} could not be migrated to revision {migrations.head}, and was left as it was: "
            f"{_cause(error)}.{kept}"
        ) from error
    _log.info("database_migrated", before=found, now=migrations.head, backup=backup and str(backup))
    return Prepared(found, migrations.head, backup)


def upgrade(engine: Engine, migrations: Migrations = OURS, to: str = "head") -> None:
    """Run every migration that is due, in one transaction. to: the revision to end at."""
    with engine.connect().execution_options(**{WRITES: True}) as conn:
        _enforce_foreign_keys(conn, False)
        try:
            with conn.begin():
                upgrade_within(conn, migrations, to)
                _check_foreign_keys(conn)
        finally:
            _enforce_foreign_keys(conn, True)


def upgrade_within(conn: Connection, migrations: Migrations = OURS, to: str = "head") -> None:
    """The same in a transaction of the caller's, who commits it."""
    # Alembic costs a third of a second to import, and a current database does not need it.
    from alembic import command
    from alembic.config import Config as AlembicConfig

    settings = AlembicConfig()
    settings.set_main_option("script_location", str(migrations.scripts).replace("%", "%%"))
    settings.attributes["connection"] = conn
    command.upgrade(settings, to)


def _cause(error: Exception) -> object:
    """What the database said, without the statement."""
    return error.orig if isinstance(error, DBAPIError) else error


def _is_current(found: str | None, migrations: Migrations, what: str) -> bool:
    if found is not None and found.startswith(SEALED):
        raise DatabaseRefused(
            f"{what} was copied to another database with its epoch, and is sealed so that only one "
            "of the two goes on. Serve the copy; or give this one an epoch of its own with "
            "`cortex db unseal`."
        )
    if found is not None and found not in migrations.revisions:
        raise DatabaseRefused(
            f"{what} has the revision {found}, which is newer than this program "
            f"({migrations.head}): install the newer Cortex again, or start from a backup."
        )
    return found == migrations.head


def _make_private(config: Config, path: Path) -> None:
    """Only the owner may read the database, SQLite's files beside it, and a directory of ours."""
    try:
        make_private_directory(path.parent)
        if path.parent == config.data_dir.resolve():
            narrow(path.parent, 0o700)
        # Made here: SQLite would ask the umask. Its -wal and -shm take the permissions of the file.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for suffix in ("", "-wal", "-shm"):
            narrow(path.with_name(path.name + suffix), 0o600)
    except OSError as error:
        raise DatabaseRefused(
            f"{path} cannot be used: {error.strerror}. Check who owns it and its directory, "
            "or name another database in CORTEX_DATABASE_URL."
        ) from error


def _open(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=rw", uri=True)


def sqlite_revision(
    path: Path, connect: Callable[[Path], sqlite3.Connection] = _open
) -> str | None:
    """The revision of the file, None when it is empty. Changes nothing, whatever file it is."""
    try:
        with closing(connect(path)) as conn:
            tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_schema")}
            if not tables:
                return None
            if not {"alembic_version", "log_state"} <= tables:
                raise ForeignDatabase(f"{path} is the database of another program; name another.")
            (revision,) = conn.execute("SELECT version_num FROM alembic_version").fetchone()
            conn.execute("SELECT epoch, head FROM log_state").fetchone()
            return str(revision)
    except sqlite3.DatabaseError as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: sqlite3.DatabaseError) -> DatabaseRefused:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith("SQLITE_NOTADB"):
        return DatabaseRefused(f"{path} is not a database; name another in CORTEX_DATABASE_URL.")
    if name.startswith("SQLITE_CORRUPT"):
        return DatabaseRefused(
            f"{path} is damaged ({error}). Put a backup in its place "
            f"(look for {path.name}.before-*), or save what can be read with `sqlite3 .recover`."
        )
    return DatabaseRefused(f"{path} cannot be opened: {error}.")


def _back_up(path: Path, name: str) -> Path:
    """Copy the database, with what is still in its write-ahead log, to one file of its own."""
    target = path.with_name(f"{path.name}.before-{name}")
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(target)) as copy:
            _check_whole(path, source)
            source.backup(copy)
        with target.open("rb") as file:
            os.fsync(file.fileno())
        sync_directory(target.parent)
    except (OSError, sqlite3.Error) as error:
        raise DatabaseRefused(
            f"{path} needs a migration, and a copy of it could not be written to {target} first: "
            f"{error}."
        ) from error
    return target


def _check_whole(path: Path, conn: sqlite3.Connection) -> None:
    (result,) = conn.execute("PRAGMA quick_check(1)").fetchone()
    if result != "ok":
        raise _unreadable(path, _corrupt(result))


def _corrupt(what: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(what)
    error.sqlite_errorname = "SQLITE_CORRUPT"
    return error


def _prepare_postgres(engine: Engine, migrations: Migrations) -> Prepared:
    what = f"The database {engine.url.database} on {engine.url.host or 'this machine'}"
    try:
        with engine.connect() as conn:
            found = postgres_revision(conn, what)
            if _is_current(found, migrations, what):
                return Prepared(found, migrations.head)
        with engine.connect() as guard, guard.begin():
            # Several servers may start at once: one migrates, the others find it done.
            guard.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            with engine.connect() as conn:
                found = postgres_revision(conn, what)
            if not _is_current(found, migrations, what):
                upgrade(engine, migrations)
                _log.info("database_migrated", before=found, now=migrations.head)
            return Prepared(found, migrations.head)
    except OperationalError as error:
        raise DatabaseRefused(f"{what} cannot be reached: {error.orig}") from error
    except SQLAlchemyError as error:
        raise DatabaseRefused(
            f"{what} could not be migrated and was left as it was: {_cause(error)}"
        ) from error


def postgres_revision(conn: Connection, what: str) -> str | None:
    tables = set(inspect(conn).get_table_names())
    if "alembic_version" not in tables:
        if "events" in tables or "projects" in tables:
            raise ForeignDatabase(f"{what} holds the tables of another program; name another.")
        return None
    return str(conn.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def _enforce_foreign_keys(conn: Connection, on: bool) -> None:
    """SQLite changes a table by copying and dropping it; that must not delete what refers to it."""
    if is_sqlite(conn):
        # By the driver: SQLite ignores this inside a transaction, and the engine would begin one.
        driver = conn.connection.driver_connection
        assert driver is not None
        driver.execute(f"PRAGMA foreign_keys={'ON' if on else 'OFF'}")


def _check_foreign_keys(conn: Connection) -> None:
    if is_sqlite(conn) and (broken := conn.execute(text("PRAGMA foreign_key_check")).first()):
        raise sqlite3.IntegrityError(f"a migration left a row without its parent: {broken}")
