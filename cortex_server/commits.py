"""Group commit: mutations that come together share one transaction and one write to the disk.

One mutation at a time has its turn; each is a savepoint of the open transaction. Whoever opened it
also sends for the committer, which queues for a turn like everybody else: so it comes after those
who waited already, and while it writes to the disk the next group gathers behind it. Alone, a
mutation waits for nobody. A mutation returns when its group is on disk.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gevent
import structlog
from gevent.event import Event
from gevent.lock import BoundedSemaphore
from sqlalchemy import Connection, Engine

from cortex_server.db.engine import WRITES, driver_of, is_sqlite
from cortex_server.db.faults import end_if_disk_failed, fault_of, translated
from cortex_server.errors import CortexError, StorageFull, Unavailable
from cortex_server.log import Draft, LoggedEvent

_log = structlog.get_logger(__name__)


class Group:
    """Mutations that share a transaction.

    size: those that are in it for good · drafts: their events, in their order · announcements:
    name and values of each · after: what is to be called after the commit, and only then ·
    events: the drafts with their positions, known at the end.
    """

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.size = 0
        self.drafts: list[Draft] = []
        self.events: list[LoggedEvent] = []
        self.announcements: list[tuple[str, dict[str, Any]]] = []
        self.after: list[Callable[[], None]] = []
        self.error: CortexError | None = None
        self._before = (0, 0, 0)  # how many of each there were before this mutation
        self._transaction = conn.begin()
        self._ended = Event()

    @property
    def ended(self) -> bool:
        return self._ended.is_set()

    def wait(self) -> None:
        """Return when the group is on disk and published. Raises what its commit failed of."""
        self._ended.wait()
        if self.error is not None:
            raise copy.copy(self.error) from self.error

    def begin_member(self) -> None:
        """Let the next mutation be undone without the ones before it. The first needs no more."""
        self._before = len(self.drafts), len(self.announcements), len(self.after)
        if self.size:
            driver_of(self.conn).execute("SAVEPOINT mutation")

    def keep_member(self) -> None:
        if self.size:
            driver_of(self.conn).execute("RELEASE SAVEPOINT mutation")
        self.size += 1

    def undo_member(self) -> None:
        drafts, announcements, after = self._before
        del self.drafts[drafts:], self.announcements[announcements:], self.after[after:]
        driver_of(self.conn).execute("ROLLBACK TO SAVEPOINT mutation")
        driver_of(self.conn).execute("RELEASE SAVEPOINT mutation")

    def commit(self) -> None:
        """Commit; on SQLite in a thread: the hub must not wait for the disk."""
        try:
            if is_sqlite(self.conn):
                driver = driver_of(self.conn)
                gevent.get_hub().threadpool.apply(driver.execute, ("COMMIT",))
            self._transaction.commit()
        except Exception as error:  # whatever it was, it goes on; a failed disk ends the process
            end_if_disk_failed(error)
            raise

    def rollback(self) -> None:
        try:
            self._transaction.rollback()
        except Exception:
            _log.exception("rollback_failed")  # the connection is gone, and its transaction with it
            self.conn.invalidate()
        self.conn.close()

    def end(self, error: CortexError | None = None) -> None:
        """Release everybody who waits for the commit."""
        self.error = error
        self._ended.set()


class GroupCommit:
    """begun: called at the beginning of each transaction · ending: just before its commit ·
    committed: just after it, while nobody else writes. The last one must not raise.
    """

    def __init__(
        self,
        engine: Engine,
        begun: Callable[[Connection], None],
        ending: Callable[[Group], None],
        committed: Callable[[Group], None],
    ) -> None:
        self._engine = engine
        self._begun = begun
        self._ending = ending
        self._committed = committed
        # sqlite3 blocks the whole hub while it waits for a lock, so writers queue here instead.
        self._turn = BoundedSemaphore(1)
        self._group: Group | None = None
        self._kept: Connection | None = None  # while groups follow each other

    @contextmanager
    def member(self) -> Iterator[Group]:
        """Run one mutation in the open group or in a new one; returns when that is on disk.

        When the body raises, only its own changes are undone.
        Raises StorageFull or Unavailable when the commit fails, which then fails for all members.
        """
        with self._turn, translated():
            group = self._open()
            try:
                group.begin_member()
                yield group
                group.keep_member()
            except BaseException:
                self._undo(group)
                raise
        if group.size == 1:
            gevent.spawn(self._commit, group)  # not before the turn is free: it queues for it
        group.wait()

    def _open(self) -> Group:
        if self._group is None:
            conn, self._kept = self._kept, None
            if conn is None:
                conn = self._engine.connect().execution_options(**{WRITES: True})
            try:
                group = Group(conn)
                self._begun(conn)
            except BaseException:
                conn.close()
                raise
            self._group = group
        return self._group

    def _undo(self, group: Group) -> None:
        """Undo one mutation; with the whole group where nobody else is in it, or all is lost."""
        if group.size:
            try:
                group.undo_member()
                return
            except Exception as error:
                # A full disk or a lost connection has ended the whole transaction.
                _log.exception("savepoint_lost")
                full = fault_of(error)
                lost = Unavailable("Nothing of this was stored: repeat it.")
                group.end(full if isinstance(full, StorageFull) else lost)
        self._group = None
        group.rollback()

    def _commit(self, group: Group) -> None:
        with self._turn:
            if group.ended:
                return
            self._group = None
            try:
                with translated():
                    self._ending(group)
                    group.commit()
            except Exception as error:  # also our own bugs: the members wait for an end
                _log.exception("commit_failed")
                group.rollback()
                unknown = Unavailable("The commit failed: repeat it with its Idempotency-Key.")
                group.end(error if isinstance(error, CortexError) else unknown)
                return
            # First of all: from here on it is on disk, whatever becomes of the connection.
            self._committed(group)
            group.end()
            if self._turn.linkcount():
                self._kept = group.conn
            else:
                group.conn.close()
