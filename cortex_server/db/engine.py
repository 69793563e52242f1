"""The engine, set up so that an acknowledged change is on disk."""

from typing import Any

from pydantic_core import to_json
from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

from cortex_server.db import postgres
from cortex_server.db.checkpoint import BACKSTOP_PAGES

CACHE_KIB = 8_192  # of pages, for each connection that needs so much
WRITES = "cortex_writes"  # execution option of a connection that is about to write


def make_engine(database_url: str, connections: int = 10) -> Engine:
    """An engine on SQLite or PostgreSQL. Opens no connection yet.

    connections: to PostgreSQL, at most; who finds none free waits for some seconds.
    """
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        return _sqlite(database_url)
    return create_engine(
        database_url,
        connect_args=postgres.arguments(url),
        json_serializer=_to_json,
        # Snapshots set their own. A writer must see all that was committed before it got the lock
        # of the store, whatever the server's default is.
        isolation_level="READ COMMITTED",
        pool_size=connections,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=True,
        pool_use_lifo=True,
    )


def _to_json(value: Any) -> str:
    """What a JSON column holds: as json.dumps writes it, in a quarter of the time."""
    return to_json(value, ensure_ascii=True).decode()


def is_sqlite(engine_or_connection: Engine | Connection) -> bool:
    return engine_or_connection.dialect.name == "sqlite"


def driver_of(conn: Connection) -> Any:
    """The driver's own connection, in the same transaction."""
    return conn.connection.driver_connection


def _sqlite(database_url: str) -> Engine:
    engine = create_engine(
        database_url,
        connect_args={
            "timeout": 5.0,
            "check_same_thread": False,  # commits run in a thread, one at a time
            "cached_statements": 512,
        },
        json_serializer=_to_json,
        pool_size=5,
        max_overflow=50,
        pool_use_lifo=True,  # the last one has in its cache what the next one needs
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, below: sqlite3 would begin deferred
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # Measured with simulated power loss: NORMAL loses acknowledged commits in WAL, FULL none.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        # A change that does not fit into it is written to the disk twice, in the hub.
        cursor.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        cursor.execute(f"PRAGMA wal_autocheckpoint={BACKSTOP_PAGES}")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES)
        # IMMEDIATE: positions are given in commit order, and no upgrade of a read lock can fail.
        driver_of(connection).execute("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
