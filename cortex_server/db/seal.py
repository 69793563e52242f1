"""A seal: the mark of a database whose history goes on in a copy of it, so that just one goes on.

It stands in front of the revision, where every program looks before it touches a database.
"""

from sqlalchemy import Connection, text

from cortex_server import ids
from cortex_server.db import epoch
from cortex_server.db.engine import WRITES, is_sqlite
from cortex_server.db.migrate import SEALED, DatabaseRefused
from cortex_server.db.place import Place, told
from cortex_server.db.snapshot import State


def seal(place: Place, copied: State) -> None:
    """Seal the database. Raises DatabaseRefused when it has gone on since `copied`."""
    engine = place.engine()
    try:
        with told(f"{place} could not be sealed"):
            with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
                _lock(conn)
                now = conn.execute(text("SELECT epoch, head FROM log_state")).one()
                if tuple(now) != (copied.epoch, copied.head):
                    raise DatabaseRefused(
                        f"{place} was written to while it was copied. Nothing was changed; stop "
                        "whoever writes to it, and copy it again."
                    )
                mark(conn, SEALED + copied.revision)
    finally:
        engine.dispose()


def lift(place: Place) -> str:
    """Take the seal away and renew the epoch, which the copy may have; returns the new one.

    Raises DatabaseRefused when there is no seal.
    """
    revision = place.revision()
    if revision is None or not place.is_sealed():
        raise DatabaseRefused(f"{place} is not sealed.")
    engine = place.engine()
    renewed = ids.new_epoch()
    try:
        with told(f"{place} could not be unsealed"):
            with engine.connect().execution_options(**{WRITES: True}) as conn, conn.begin():
                mark(conn, revision)
                conn.execute(text("UPDATE log_state SET epoch = :epoch"), {"epoch": renewed})
                head = int(conn.execute(text("SELECT head FROM log_state")).scalar_one())
            epoch.record(place.path, renewed, head)
    finally:
        engine.dispose()
    return renewed


def _lock(conn: Connection) -> None:
    if not is_sqlite(conn):  # there the transaction has begun as the only writer
        conn.execute(text("LOCK TABLE log_state IN EXCLUSIVE MODE"))


def mark(conn: Connection, revision: str) -> None:
    """Write the revision, with a seal in front of it or without, in the caller's transaction."""
    conn.execute(text("UPDATE alembic_version SET version_num = :now"), {"now": revision})
