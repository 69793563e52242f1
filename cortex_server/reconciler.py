"""The server's housekeeping: one loop, the time passed in.

Some duties each process has for itself. Those that change what all share are done by one process
at a time, which leads.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import gevent
import structlog

from cortex_server import auth, log
from cortex_server.clock import iso, parse_iso
from cortex_server.db import epoch
from cortex_server.db.checkpoint import Checkpoints
from cortex_server.domains import arrivals, idempotency, logins, settings, ticket_words
from cortex_server.services import Services
from cortex_server.store import SYSTEM, WriteTx

TICK_S = 0.5
MERGES_MAX = 20  # each of some 10 ms; what is left waits for the next time
_log = structlog.get_logger(__name__)


class Reconciler:
    """Does each duty when it is due. A duty that fails is logged and tried again next time.

    leads: whether this process does what only one is to do; asked before each such duty.
    """

    def __init__(self, services: Services, leads: Callable[[], bool] = lambda: True) -> None:
        self._services = services
        self._leads = leads
        path = services.config.database_path
        self._checkpoints = None if path is None else Checkpoints(path)
        self._duties: list[tuple[float, Callable[[], None]]] = [
            (TICK_S, self.checkpoint),
            (1.0, self.note_head),
            (5.0, self.check_tokens),
            (60.0, self.store_last_used),
            # what follows is done by the leader only
            (TICK_S, self.store_live_text),
            (5.0, self.tidy_words),
            (60.0, self.expire),
            (300.0, self.prune),
        ]
        self._of_leader = {self.store_live_text, self.tidy_words, self.expire, self.prune}
        self._due_at = [0.0] * len(self._duties)

    def tick(self, now_s: float) -> None:
        """Do what is due. now_s: monotonic seconds."""
        due = [index for index in range(len(self._duties)) if now_s >= self._due_at[index]]
        for index in due:
            every_s, duty = self._duties[index]
            if duty in self._of_leader and not self._leads():
                break  # these come last, and stay due: whoever takes over begins at once
            self._due_at[index] = now_s + every_s
            try:
                duty()
            except Exception:
                # The loop must outlive a full disk or a lost database connection.
                _log.exception("duty_failed", duty=duty.__name__)

    def checkpoint(self) -> None:
        """Spare the commits the copying of SQLite's write-ahead log."""
        if self._checkpoints is not None:
            self._checkpoints.run()

    def store_live_text(self) -> None:
        """Store text that came by deltas; no events, the deltas told it already."""
        if self._services.live.dirty():
            self._write(self._services.live.flush)

    def check_tokens(self) -> None:
        """End the streams of revoked tokens, in case nobody told: another process may not have."""
        services = self._services
        if services.tailer is not None and (open_for := services.streams.tokens):
            with services.store.read() as tx:
                dead = auth.dead_among(tx, open_for)
            if dead:
                services.streams.revoked(dead)

    def check_tokens_soon(self) -> None:
        """Do it with the next tick: notifications may have been lost."""
        index = [duty for _, duty in self._duties].index(self.check_tokens)
        self._due_at[index] = 0.0

    def note_head(self) -> None:
        """Keep the epoch and the head outside of the database file too."""
        path = self._services.config.database_path
        if path is not None:
            # in a thread: it waits for the disk
            note = (path, self._services.epoch, self._services.store.published)
            gevent.get_hub().threadpool.apply(epoch.note, note)
        self._services.metrics.head.set(self._services.store.published)

    def store_last_used(self) -> None:
        if self._services.last_used.dirty():
            self._write(self._services.last_used.flush)

    def expire(self) -> None:
        """Drop stored answers after their 24 hours, and browsers' logins that have ended."""
        self._write(idempotency.expire)
        self._write(logins.expire)
        self._write(arrivals.expire)

    def tidy_words(self) -> None:
        """Merge what writers added to SQLite's index of words, a little at a time."""
        if self._services.config.database_path is None:
            return
        for _ in range(MERGES_MAX):
            with self._services.store.write(SYSTEM) as tx:
                more = ticket_words.tidy(tx)
            if not more:
                return
            gevent.sleep(0)

    def prune(self) -> None:
        """Cut the log to what the settings keep."""
        services = self._services
        with services.store.read() as tx:
            values = settings.global_values(tx, services.config)
        days, keep = values["log_retention_days"], values["log_retention_events"]

        floor, before_it = 0, -1
        while floor > before_it:
            before_it = floor
            with services.store.write(SYSTEM) as tx:
                oldest = iso(parse_iso(tx.now) - timedelta(days=float(days)))
                floor = log.prune(tx.conn, oldest, int(keep))
            gevent.sleep(0)  # between two slices others write

    def _write(self, change: Callable[[WriteTx], Any]) -> None:
        with self._services.store.write(SYSTEM) as tx:
            change(tx)
