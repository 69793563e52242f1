"""The server's housekeeping: one loop, the time passed in.

Some duties each process has for itself. Those that change what all share are done by one process
at a time, which leads.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import gevent
import structlog

from cortex_server import auth, log
from cortex_server.clock import iso, later, parse_iso
from cortex_server.db import epoch
from cortex_server.db.checkpoint import Checkpoints
from cortex_server.db.time import DatabaseClock
from cortex_server.domains import (
    arrivals,
    attempts,
    commands,
    idempotency,
    instances,
    leases,
    liveness,
    logins,
    retention,
    runners,
    settings,
    ticket_words,
)
from cortex_server.errors import StorageFull, Unavailable
from cortex_server.services import Services
from cortex_server.store import SYSTEM, WriteTx
from cortex_server.triggering import Triggering

TICK_S = 0.5
PRUNE_S = 0.5  # of one turn
MERGES_MAX = 20  # each of some 10 ms; what is left waits for the next time
_log = structlog.get_logger(__name__)


class Reconciler:
    """Does each duty when it is due. A duty that fails is logged and tried again next time.

    One that has much to do does a part of it, and returns True: then it is due with the next
    tick again, and the others have their turn in between.

    leads: whether this process does what only one is to do; asked before each such duty.
    """

    def __init__(self, services: Services, leads: Callable[[], bool] = lambda: True) -> None:
        self._services = services
        self._leads = leads
        self._attention = liveness.Attention()
        self.triggering = Triggering(services)
        path = services.config.database_path
        self._checkpoints = None if path is None else Checkpoints(path)
        self._duties: list[tuple[float, Callable[[], bool | None]]] = [
            (TICK_S, self.checkpoint),
            (1.0, self.note_head),
            (5.0, self.check_tokens),
            (10.0, self.look_at_clock),
            (60.0, self.store_last_used),
            # what follows is done by the leader only
            (TICK_S, self.store_live_text),
            (TICK_S, self.fire_triggers),
            (TICK_S, self.send_calls),
            (1.0, self.expire_leases),
            (1.0, self.tell_silence),
            (5.0, self.tidy_words),
            (60.0, self.expire),
            (300.0, self.prune),
        ]
        self._of_leader = {
            self.store_live_text,
            self.fire_triggers,
            self.send_calls,
            self.expire_leases,
            self.tell_silence,
            self.tidy_words,
            self.expire,
            self.prune,
        }
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
                if duty():
                    self._due_at[index] = now_s
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

    def fire_triggers(self) -> None:
        """Do what new events and the clock are to set off."""
        self.triggering.look()

    def send_calls(self) -> None:
        """Send what triggers have to say to others; it does not wait for their answers."""
        self.triggering.send()

    def expire_leases(self) -> None:
        """Say of attempts without a living owner that they are lost, of silent runners offline."""
        services = self._services
        with services.store.read() as tx:
            # After a start, and after a time in which nobody could renew a lease or tell an end,
            # whoever is alive gets the time of a lease to do so.
            since = self._attention.since(tx.now)
            lease_s = services.config.lease_s
            due = tx.now >= later(since, lease_s) and leases.are_due(tx)
            # A lease of before a start may be longer than the configuration gives now.
            put_back = self._attention.put_back
            longest_s = lease_s if put_back else max(leases.LONGEST_S, 2 * lease_s)
            too_long = leases.too_long(tx, longest_s)
        if too_long:
            self._write(partial(leases.shorten, longest_s=longest_s, lease_s=lease_s))
        self._attention.put_back = False
        while due:
            due = not self._expire_some()
            gevent.sleep(0)

    def _expire_some(self) -> bool:
        """Returns whether all is said, as far as that can be."""
        try:
            with self._services.store.write(SYSTEM) as tx:
                return leases.expire(tx)
        except (StorageFull, Unavailable):
            raise
        except Exception:
            # One of them is at fault: it must not keep the others from being told.
            with self._services.store.read() as tx:
                found = leases.expired(tx)
        for attempt_id in found:
            try:
                self._write(partial(attempts.lose, attempt_id=attempt_id))
            except Exception:
                _log.exception("attempt_not_said_to_be_lost", attempt=attempt_id)
        self._write(leases.free)
        return True

    def tell_silence(self) -> None:
        """Say of sessions and of agents' servers that nothing is heard of them any more."""
        with self._services.store.read() as tx:
            since = self._attention.since(tx.now)
            beat_s = self._services.config.lease_s / 3
            sessions, servers = liveness.silent(tx, since), instances.silent(tx, since, beat_s)
        if sessions:
            self._write(partial(liveness.mark_stale, since=since))
        if servers:
            self._write(partial(instances.expire, since=since, beat_s=beat_s))

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

    def look_at_clock(self) -> None:
        """Follow the database's clock, where it is another one than this machine's."""
        if isinstance(self._services.clock, DatabaseClock):
            self._services.clock.look()

    def store_last_used(self) -> None:
        if self._services.last_used.dirty():
            self._write(self._services.last_used.flush)

    def expire(self) -> None:
        """Drop what is over: stored answers, browsers' logins, tokens and commands of attempts."""
        self.triggering.expire()
        self._write(idempotency.expire)
        self._write(logins.expire)
        self._write(arrivals.expire)
        self._write(commands.expire)
        self._write(retention.drop_tokens)
        self._write(runners.forget)

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

    def prune(self) -> bool:
        """Cut the log, and the logs of attempts, to what the settings keep; True: not all yet."""
        services = self._services
        with services.store.read() as tx:
            values = settings.global_values(tx, services.config)
            floor = log.state(tx.conn).floor
        days, keep = float(values["log_retention_days"]), int(values["log_retention_events"])
        ends = services.clock.monotonic() + PRUNE_S
        while services.clock.monotonic() < ends:
            with services.store.write(SYSTEM) as tx:
                oldest = iso(parse_iso(tx.now) - timedelta(days=days))
                before, floor = floor, log.prune(tx.conn, oldest, keep)
                dropped = retention.drop_logs(tx, oldest)
            if floor == before and not dropped:
                return False
            gevent.sleep(0)  # between two slices others write
        return True

    def _write(self, change: Callable[[WriteTx], Any]) -> None:
        with self._services.store.write(SYSTEM) as tx:
            change(tx)
