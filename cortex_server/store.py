"""Transactions: rows and events together, signals after the commit and only then."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import structlog
from gevent.local import local
from gevent.lock import BoundedSemaphore
from pydantic import BaseModel
from sqlalchemy import Connection, Engine, text

from cortex_server import log, signals
from cortex_server.clock import Clock, iso
from cortex_server.commits import Group, GroupCommit
from cortex_server.db import postgres
from cortex_server.db.engine import is_sqlite
from cortex_server.db.faults import translated
from cortex_server.errors import Unavailable
from cortex_server.events import validate
from cortex_server.events.objects import Actor
from cortex_server.log import Draft
from cortex_server.publisher import Publisher

_log = structlog.get_logger(__name__)

SYSTEM = Actor(kind="system", name="cortex")
_SNAPSHOT = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_WRITER_LOCK = 0x636F72746578  # "cortex": the PostgreSQL advisory lock of whoever writes
# The others wait for it: a process that stands still in its turn loses its transaction. The last
# lock keeps out who wants the database for itself, as long as the transaction lasts; the lock that
# the tailer holds goes with its connection, of which a writer hears nothing.
_TAKE_TURN = text(
    "SELECT set_config('idle_in_transaction_session_timeout', '30000', true),"
    " pg_advisory_xact_lock(:key), pg_try_advisory_xact_lock_shared(:serving)"
)


@dataclass
class ReadTx:
    """One read transaction: everything read through it is of the same moment."""

    conn: Connection
    now: str


@dataclass
class WriteTx(ReadTx):
    """One mutation. now: the time (text) of all that it stores; actor: who does it.

    after_commit: called in their order when it is on disk, and only then. What it reads before
    may never be: others of its transaction wrote it.
    store_text: stores what is live of the messages of a session, in this transaction.
    """

    actor: Actor
    drafts: list[Draft] = field(default_factory=list)
    announcements: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    after_commit: list[Callable[[], None]] = field(default_factory=list)
    store_text: Callable[["WriteTx", str], None] = lambda _tx, _session: None

    def emit(
        self, name: str, payload: BaseModel, project: str | None = None, ticket: str | None = None
    ) -> None:
        """Add an event to this transaction; it gets its position at the commit."""
        encoded = validate(name, payload).model_dump_json(ensure_ascii=True)
        by = self.actor
        self.drafts.append(Draft(name, project or "", ticket, self.now, by.kind, by.name, encoded))

    def announce(self, name: str, **values: Any) -> None:
        """Send an internal signal after the commit; it is not logged."""
        self.announcements.append((name, values))


class Store:
    """The one way to the database. Publishes what was committed, in strict position order.

    tell: called after each commit that has events, while nobody else of this process writes. By
    default it publishes them; a process that reads the log of PostgreSQL itself just wakes that.
    store_text: see WriteTx; where there is live text, it says how that is stored.
    """

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.clock = clock
        self._commits = GroupCommit(engine, self._lock, self._append, self._after_commit)
        self._catching_up = BoundedSemaphore(1)
        self._reading = local()
        with self.read() as tx:
            head = log.state(tx.conn).head
        self.publisher = Publisher(self, clock, head)
        self.tell: Callable[[Group], None] = self._publish
        self.store_text: Callable[[WriteTx, str], None] = lambda _tx, _session: None

    @property
    def published(self) -> int:
        """The position of the newest event that was published, or stood there at the start."""
        return self.publisher.position

    @contextmanager
    def read(self) -> Iterator[ReadTx]:
        """A read transaction. Never keep it open across a `yield` to a client.

        Inside another one of the same greenlet it is that one: who waits for a second connection
        while holding one could wait for others who do the same.
        """
        if (outer := getattr(self._reading, "tx", None)) is not None:
            yield outer
            return
        options = {} if is_sqlite(self.engine) else _SNAPSHOT
        with (
            translated(),
            self.engine.connect().execution_options(**options) as conn,
            conn.begin(),
        ):
            self._reading.tx = ReadTx(conn, iso(self.clock.now()))
            try:
                yield self._reading.tx
            finally:
                del self._reading.tx

    @contextmanager
    def write(self, actor: Actor) -> Iterator[WriteTx]:
        """One mutation: all of it or, when the body raises, nothing. Returns when it is on disk.

        It may share its transaction and its commit with others. Raises StorageFull (nothing is
        stored), and Unavailable when the database cannot be asked: of a lost connection nobody
        can say whether it committed.
        """
        with self._commits.member() as group:
            tx = WriteTx(group.conn, iso(self.clock.now()), actor, store_text=self.store_text)
            yield tx
            group.drafts.extend(tx.drafts)
            group.announcements.extend(tx.announcements)
            group.after.extend(tx.after_commit)

    def catch_up(self) -> None:
        """Publish what was committed and not published yet.

        On PostgreSQL a commit can succeed although its answer is lost, and another process may
        write to the same database.
        """
        with self._catching_up:
            done = False
            while not done:
                with self.read() as tx:
                    floor = log.state(tx.conn).floor
                    page = log.after(tx.conn, max(self.published, floor))
                self.publisher.publish(page.events)
                done = page.done

    def _lock(self, conn: Connection) -> None:
        """One writer at a time on PostgreSQL too: what it read stays true until it commits.

        Raises Unavailable while a program has the database for itself.
        """
        if is_sqlite(conn):
            return
        keys = {"key": _WRITER_LOCK, "serving": postgres.SERVING}
        if not conn.execute(_TAKE_TURN, keys).one()[-1]:
            raise Unavailable(postgres.TAKEN)

    def _append(self, group: Group) -> None:
        """Log what all the members have to tell: as late as possible, and in one go."""
        group.events = log.append(group.conn, group.drafts)
        if is_sqlite(group.conn):
            return
        if group.events:
            # without content, which is limited and would say nothing that the log does not
            postgres.notify(group.conn, postgres.COMMITS)
        for name, values in group.announcements:
            postgres.notify(group.conn, postgres.COMMITS, log.encode({"signal": name, **values}))

    def _after_commit(self, group: Group) -> None:
        """Tell of what was just committed, still in the writer's turn, so in position order.

        The change is committed, so it must not fail now.
        """
        for call in group.after:
            try:
                call()
            except Exception:
                _log.exception("after_commit_failed")
        try:
            if group.events:
                self.tell(group)
        except Exception:
            _log.exception("publishing_failed", published=self.published)
        for name, values in group.announcements:
            signals.send(signals.internal(name), self, **values)

    def _publish(self, group: Group) -> None:
        if not self.publisher.follows(group.events):
            try:
                self.catch_up()
            except Exception:
                # The bus notices the gap itself.
                _log.exception("catch_up_failed", published=self.published)
        self.publisher.publish(group.events)
