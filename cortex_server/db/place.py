"""Where a database is: a SQLite file or a PostgreSQL database, as a person names it."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection, Engine, NullPool, create_engine
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError

from cortex_server.db import migrate
from cortex_server.db.engine import make_engine
from cortex_server.db.migrate import OURS, SEALED, DatabaseRefused

TOOL = "cortex-db"  # the application_name of what `cortex db` does on PostgreSQL
_SNAPSHOT: dict[str, Any] = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}

# Called with what is done, how much of it is, and how much there is to do.
Progress = Callable[[str, int, int], None]


def silent(_what: str, _done: int, _total: int) -> None:
    """The Progress that nobody follows."""


@dataclass(frozen=True)
class Place:
    """url: for SQLAlchemy · path: the SQLite file, None on PostgreSQL."""

    url: str
    path: Path | None

    def __str__(self) -> str:
        """The file, or the database and its host: never a password."""
        if self.path is not None:
            return str(self.path)
        url = make_url(self.url)
        host = url.host or url.query.get("host") or "this machine"
        return f"the PostgreSQL database {url.database} on {host}"

    def engine(self) -> Engine:
        """An engine for one command. Dispose of it at the end."""
        if self.path is not None:
            return make_engine(self.url)
        arguments = {"application_name": TOOL}
        return create_engine(self.url, poolclass=NullPool, connect_args=arguments)

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One read transaction: everything in it is of the same moment, and nobody waits for it."""
        engine = self.engine()
        options = {} if self.path is not None else _SNAPSHOT
        try:
            with engine.connect().execution_options(**options) as conn, conn.begin():
                yield conn
        finally:
            engine.dispose()

    def revision(self) -> str | None:
        """The revision that is there, sealed or not; None where there is no database yet.

        Raises DatabaseRefused for what is damaged, newer, or another program's.
        """
        found = self._found()
        bare = found and found.removeprefix(SEALED)
        if bare and bare not in OURS.revisions:
            raise DatabaseRefused(
                f"{self} has the revision {bare}, which is newer than this program ({OURS.head}): "
                "install the newer Cortex to work with it."
            )
        return bare

    def is_sealed(self) -> bool:
        return (self._found() or "").startswith(SEALED)

    def _found(self) -> str | None:
        if self.path is not None:
            return migrate.sqlite_revision(self.path, open_file) if exists(self.path) else None
        engine = self.engine()
        try:
            with told(f"{self} cannot be read"), engine.connect() as conn:
                return migrate.postgres_revision(conn, str(self))
        finally:
            engine.dispose()


def place_of(text: str) -> Place:
    """What a URL or a path names. Raises DatabaseRefused for a URL that is neither of the two."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme in ("postgres", "postgresql", "postgresql+psycopg"):
        url = f"postgresql+psycopg://{rest}"
        try:
            make_url(url)
        except (ArgumentError, ValueError):
            # Not what was given: it may hold a password.
            raise DatabaseRefused("The URL of the PostgreSQL database cannot be read.") from None
        return Place(url, None)
    if separator and scheme != "sqlite":
        raise DatabaseRefused(
            f"A database is a path, sqlite:///PATH or postgresql+psycopg://…, not {scheme}://…."
        )
    path = Path(rest.removeprefix("/") if separator else text).expanduser().absolute()
    if "?" in str(path):
        raise DatabaseRefused(f"{path}: the path of a SQLite file must not hold a question mark.")
    return Place(f"sqlite:///{path}", path)


def open_file(path: Path) -> sqlite3.Connection:
    """Open an existing SQLite file to read it, also one in a directory that cannot be written.

    Transactions are the caller's: none is begun by itself.
    """
    address = f"file:{quote(str(path.absolute()))}"
    wal = path.with_name(f"{path.name}-wal")
    # SQLite makes two files beside a database in WAL mode; where it may not, and nothing waits in
    # a write-ahead log, the file alone is the whole database.
    alone = not os.access(path.parent, os.W_OK) and not (wal.exists() and wal.stat().st_size)
    mode = "mode=rw" if os.access(path, os.W_OK) else "mode=ro"
    mode = "mode=ro&immutable=1" if alone else mode
    conn = sqlite3.connect(f"{address}?{mode}", uri=True, timeout=5.0, isolation_level=None)
    conn.execute("PRAGMA query_only=ON")
    return conn


def exists(path: Path) -> bool:
    """Whether a database is there. Raises DatabaseRefused where one may not even look."""
    try:
        return path.stat().st_size > 0
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise DatabaseRefused(f"{path} cannot be looked at: {error.strerror}.") from error


@contextmanager
def told(what: str) -> Iterator[None]:
    """Turn what the system or a driver says into one line. what: the first half of it."""
    try:
        yield
    except (OSError, sqlite3.Error, DBAPIError) as error:
        raise DatabaseRefused(f"{what}: {_reason(error)}.") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] != "psycopg":  # imported only where it is used
            raise
        raise DatabaseRefused(f"{what}: {_reason(error)}.") from error


def _reason(error: Exception) -> str:
    original = error.orig if isinstance(error, DBAPIError) and error.orig else error
    if isinstance(original, OSError) and original.strerror:
        return original.strerror.lower()
    name = getattr(original, "sqlite_errorname", "") or ""
    if name == "SQLITE_FULL":
        return "the disk is full"
    return " ".join(str(original).split()).rstrip(".")


def head_of(path: Path) -> tuple[str, int, int]:
    """The epoch, the head and the floor of a SQLite file that is a database of ours."""
    with told(f"{path} cannot be read"), closing(open_file(path)) as conn:
        epoch, head, floor = conn.execute("SELECT epoch, head, floor FROM log_state").fetchone()
        return str(epoch), int(head), int(floor)
