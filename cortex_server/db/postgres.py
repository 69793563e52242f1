"""Connections to PostgreSQL: how they are made, and those that the pool does not keep.

psycopg is imported late: it is not there where the database is SQLite, and it is cooperative only
when gevent has patched `select` before its import.
"""

from typing import Any

from sqlalchemy import URL, Connection, make_url, text

COMMITS = "cortex"  # notified by each commit: without payload, or with that of a signal
DELTAS = "cortex_deltas"  # live text: it is in the payload
PAYLOAD_MAX = 7_900  # bytes; PostgreSQL takes fewer than 8,000

SERVING = 0x636F7274657873  # "cortexs", an advisory lock: shared by all who serve
LEADING = 0x636F727465786C  # "cortexl": of the one who does what is to be done once

TAKEN = "A program has the database for itself, to restore or copy it; try again after that."

_NOTIFY = text("SELECT pg_notify(:channel, :payload)")

# Both ends notice within seconds when the other one is gone: the locks of a worker whose machine
# vanished have to be free for the others.
_CLIENT: dict[str, Any] = {
    "connect_timeout": 5, "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3,
    "tcp_user_timeout": 10_000, "application_name": "cortex",
}  # fmt: skip
_SERVER = (
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 "
    "-c tcp_user_timeout=10000"
)


def arguments(url: URL, settings: str = "") -> dict[str, Any]:
    """psycopg's arguments for every connection, beside those in the address, which win.

    settings: of the server's for this connection, as `-c name=value`; these win over both.
    """
    given = url.query.get("options", "")
    theirs = given if isinstance(given, str) else " ".join(given)
    ours = {name: value for name, value in _CLIENT.items() if name not in url.query}
    return ours | {"options": f"{_SERVER} {theirs} {settings}".strip()}


def connect(database_url: str, settings: str = "") -> Any:
    """A connection beside the pool, in autocommit. Raises psycopg.Error.

    settings: of the server's, as for `arguments`.
    """
    import psycopg

    url = make_url(database_url)
    _, given = url.get_dialect()().create_connect_args(url)
    return psycopg.connect(**{**given, **arguments(url, settings)}, autocommit=True)


def notify(conn: Connection, channel: str, payload: str = "") -> None:
    """Wake whoever listens, when the transaction commits and only then."""
    conn.execute(_NOTIFY, {"channel": channel, "payload": payload})


def share(connection: Any) -> bool:
    """Take the lock of those who serve, until the connection ends; False: somebody has it alone."""
    return _ask(connection, "SELECT pg_try_advisory_lock_shared(%s)")


def take_alone(connection: Any) -> bool:
    """Take the same lock for nobody else; False while anybody serves."""
    return _ask(connection, "SELECT pg_try_advisory_lock(%s)")


def _ask(connection: Any, statement: str) -> bool:
    return bool(connection.execute(statement, (SERVING,)).fetchone()[0])
