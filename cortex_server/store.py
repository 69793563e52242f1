"""Transactions: rows and events together, signals after the commit and only then."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from gevent.lock import BoundedSemaphore
from pydantic import BaseModel
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from cortex_server import log, signals
from cortex_server.clock import Clock, iso
from cortex_server.db.engine import WRITES, is_sqlite
from cortex_server.errors import StorageFull, Unavailable
from cortex_server.events import validate
from cortex_server.events.objects import Actor
from cortex_server.log import Draft, LoggedEvent

_log = structlog.get_logger(__name__)

SYSTEM = Actor(kind="system", name="cortex")
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_WRITER_LOCK = 0x636F72746578  # "cortex": the PostgreSQL advisory lock of whoever writes


@dataclass
class ReadTx:
    """One read transaction: everything read through it is of the same moment."""

    conn: Connection
    now: str


@dataclass
class WriteTx(ReadTx):
    """One mutation. now: the time (text) of all that it stores; actor: who does it."""

    actor: Actor
    drafts: list[Draft] = field(default_factory=list)
    announcements: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def emit(
        self, name: str, payload: BaseModel, project: str | None = None, ticket: str | None = None
    ) -> None:
        """Add an event to this transaction; it gets its position at the commit."""
        encoded = log.encode(validate(name, payload).model_dump(mode="json"))
        self.drafts.append(Draft(name, project or "", ticket, encoded))

    def announce(self, name: str, **values: Any) -> None:
        """Send an internal signal after the commit; it is not logged."""
        self.announcements.append((name, values))


class Store:
    """The one way to the database. Publishes what was committed, in strict position order.

    published: the position of the newest event that was published, or stood there at the start.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        # sqlite3 blocks the whole hub while it waits for a lock, so writers queue here instead.
        self._writer = BoundedSemaphore(1)
        with self.read() as tx:
            self.published = log.state(tx.conn).head

    @contextmanager
    def read(self) -> Iterator[ReadTx]:
        """A read transaction. Never keep it open across a `yield` to a client."""
        options = {} if is_sqlite(self.engine) else _SNAPSHOT
        with _faults(), self.engine.connect().execution_options(**options) as conn, conn.begin():
            yield ReadTx(conn, iso(self.clock.now()))

    @contextmanager
    def write(self, actor: Actor) -> Iterator[WriteTx]:
        """A write transaction; commits at the end, then publishes, then returns.

        Raises StorageFull (nothing is stored), and Unavailable when the database cannot be asked:
        of a lost connection nobody can say whether it committed.
        """
        with self._writer:
            tx = self._transaction(actor)
            with _faults(), self.engine.connect().execution_options(**{WRITES: True}) as conn:
                transaction = conn.begin()
                try:
                    tx.conn = conn
                    self._lock(conn)
                    yield tx
                    events = log.append(conn, tx.drafts, tx.now, (actor.kind, actor.name))
                except BaseException:
                    transaction.rollback()
                    raise
                _commit(transaction)
            self._publish(events)
        for name, values in tx.announcements:
            signals.send(signals.internal(name), self, **values)

    def _transaction(self, actor: Actor) -> WriteTx:
        return WriteTx(conn=None, now=iso(self.clock.now()), actor=actor)  # type: ignore[arg-type]

    def _lock(self, conn: Connection) -> None:
        """One writer at a time on PostgreSQL too: what it read stays true until it commits."""
        if not is_sqlite(conn):
            conn.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITER_LOCK})

    def catch_up(self) -> None:
        """Publish what was committed and not published yet.

        On PostgreSQL a commit can succeed although its answer is lost, and another process may
        write to the same database.
        """
        with self._writer:
            self._publish_missed()

    def _publish(self, events: Sequence[LoggedEvent]) -> None:
        """Tell of what was just committed, still under the writer's lock, so in position order."""
        if events and events[0].position > self.published + 1:
            try:
                self._publish_missed()
            except Exception:
                # The change is committed, so it must not fail now; the bus notices the gap itself.
                _log.exception("catch_up_failed", published=self.published)
        self._send(events)

    def _publish_missed(self) -> None:
        done = False
        while not done:
            with self.read() as tx:
                floor = log.state(tx.conn).floor
                page = log.after(tx.conn, max(self.published, floor))
            self._send(page.events)
            done = page.done

    def _send(self, events: Sequence[LoggedEvent]) -> None:
        """Send one signal for each event that has not been published."""
        now = self.clock.monotonic()
        for event in events:
            if event.position > self.published:
                event.published_at = now
                signals.send(signals.event(event.type), self, event=event)
                self.published = event.position


def _commit(transaction: Any) -> None:
    """Commit; after a failed write to the disk end the process.

    What the page cache holds after a failed fsync is unknown, so a retry could acknowledge what is
    not on disk. The next process recovers from the file.
    """
    try:
        transaction.commit()
    except OperationalError as error:
        if "disk I/O error" in str(error.orig):
            _log.critical("commit_failed_exiting", error=str(error.orig))
            os._exit(70)
        transaction.rollback()
        raise


@contextmanager
def _faults() -> Iterator[None]:
    """Turn what the driver says about the storage into errors that a client can act on."""
    try:
        yield
    except DBAPIError as error:
        message = str(error.orig)
        if "disk is full" in message or "No space left" in message:
            raise StorageFull(
                "The disk is full: nothing was stored. Free some space; reading still works."
            ) from error
        broken = isinstance(error.orig, sqlite3.OperationalError) or error.connection_invalidated
        if broken and not _is_mistake(message):
            _log.error("storage_unavailable", error=message)
            raise Unavailable(
                "The database does not take this now. A change may have been stored: repeat it "
                "with the same Idempotency-Key, or look before you repeat it."
            ) from error
        raise


def _is_mistake(message: str) -> bool:
    """True for our own faults in SQL, which must stay loud."""
    return any(part in message for part in ("no such", "syntax error", "has no column"))
