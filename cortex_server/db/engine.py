"""The engine, set up so that an acknowledged change is on disk."""

from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url

WRITES = "cortex_writes"  # execution option of a connection that is about to write


def make_engine(database_url: str) -> Engine:
    """An engine on SQLite or PostgreSQL. Opens no connection yet."""
    if make_url(database_url).get_backend_name() == "sqlite":
        return _sqlite(database_url)
    # Snapshots set their own isolation; writers rely on the lock that the store takes.
    return create_engine(database_url, pool_size=10, max_overflow=20, pool_pre_ping=True)


def is_sqlite(engine_or_connection: Engine | Connection) -> bool:
    return engine_or_connection.dialect.name == "sqlite"


def _sqlite(database_url: str) -> Engine:
    engine = create_engine(
        database_url,
        connect_args={"timeout": 5.0, "check_same_thread": False},
        pool_size=5,
        max_overflow=50,
    )

    @event.listens_for(engine, "connect")
    def _on_connect(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # BEGIN is ours, below: sqlite3 would begin deferred
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        # Measured with simulated power loss: NORMAL loses acknowledged commits in WAL, FULL none.
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.execute("PRAGMA foreign_keys=ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(WRITES)
        # IMMEDIATE: positions are given in commit order, and no upgrade of a read lock can fail.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
