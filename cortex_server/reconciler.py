"""The server's housekeeping: one loop, the time passed in."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import gevent
import structlog

from cortex_server import log
from cortex_server.clock import iso, parse_iso
from cortex_server.db import epoch
from cortex_server.domains import idempotency, logins, settings
from cortex_server.services import Services
from cortex_server.store import SYSTEM, WriteTx

TICK_S = 0.5
_log = structlog.get_logger(__name__)


class Reconciler:
    """Does each duty when it is due. A duty that fails is logged and tried again next time."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._duties: list[tuple[float, Callable[[], None]]] = [
            (TICK_S, self.store_live_text),
            (1.0, self.catch_up),
            (1.0, self.note_head),
            (60.0, self.store_last_used),
            (60.0, self.expire),
            (300.0, self.prune),
        ]
        self._due_at = [0.0] * len(self._duties)

    def tick(self, now_s: float) -> None:
        """Do what is due. now_s: monotonic seconds."""
        for index, (every_s, duty) in enumerate(self._duties):
            if now_s < self._due_at[index]:
                continue
            self._due_at[index] = now_s + every_s
            try:
                duty()
            except Exception:
                # The loop must outlive a full disk or a lost database connection.
                _log.exception("duty_failed", duty=duty.__name__)

    def store_live_text(self) -> None:
        """Store text that came by deltas; no events, the deltas told it already."""
        if self._services.live.dirty():
            self._write(self._services.live.flush)

    def catch_up(self) -> None:
        """Publish what is in the log of a PostgreSQL database and was not told; SQLite is ours."""
        if self._services.config.database_path is None:
            self._services.store.catch_up()

    def note_head(self) -> None:
        """Keep the epoch and the head outside of the database file too."""
        path = self._services.config.database_path
        if path is not None:
            epoch.note(path, self._services.epoch, self._services.store.published)
        self._services.metrics.head.set(self._services.store.published)

    def store_last_used(self) -> None:
        if self._services.last_used.dirty():
            self._write(self._services.last_used.flush)

    def expire(self) -> None:
        """Drop stored answers after their 24 hours, and browsers' logins that have ended."""
        self._write(idempotency.expire)
        self._write(logins.expire)

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
