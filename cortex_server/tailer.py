"""On PostgreSQL the one who publishes: follows the log, whichever process has written to it.

One greenlet with one connection, which listens and reads. An empty notification says that there
is something to read, a slow poll finds what no notification told of. What cannot be in the log
comes as notifications with a payload: live text, and signals such as a revoked token.
"""

import hashlib
import random
from collections.abc import Callable
from typing import Any

import gevent
import structlog
from gevent.event import Event

from cortex_server import ids
from cortex_server.clock import Clock
from cortex_server.db import postgres
from cortex_server.log import LoggedEvent
from cortex_server.publisher import Publisher

POLL_S = 1.0
ANSWER_S = 3.0  # after which a silent connection is taken for a lost one
STALE_S = 5.0  # without having read the log: what this process knows may be out of date by then
WATCH_S = 0.25
RETRY_S = (0.05, 1.0)  # first and longest pause before connecting again
PAGE, PAGE_BYTES = 500, 1_048_576
_READ = 1  # of libev
_log = structlog.get_logger(__name__)

_AFTER = """
SELECT position, type, project, seq, ticket, at, actor_kind, actor_name, payload FROM (
    SELECT *, sum(octet_length(payload)) OVER (ORDER BY position) - octet_length(payload) AS before
    FROM (SELECT * FROM events WHERE position > %s ORDER BY position LIMIT %s) AS page
) AS measured WHERE before < %s ORDER BY position
"""
# What stands at a position: NULL when it was pruned. Not the payload itself, which may be large.
_STANDING = """
SELECT s.epoch, s.head,
    e.type || ' ' || e.at || ' ' || encode(sha256(convert_to(e.payload, 'UTF8')), 'hex')
FROM log_state s LEFT JOIN events e ON e.position = %s
"""


class HistoryChanged(Exception):
    """The log is no continuation of what was published: another database was put in its place."""


class Tailer:
    """Reads what follows the published position, and publishes it, in strict order.

    Set these before `start`; none may block or raise. heard: gets channel and payload of
    notifications that have one · connected: called each time that nothing can be missed any more ·
    stale: told True when the log could not be read for too long, and False when it can again ·
    restart: called when the log is no longer the one that was followed.
    """

    def __init__(self, database_url: str, epoch: str, publisher: Publisher, clock: Clock) -> None:
        self.heard: Callable[[str, str], None] = lambda _channel, _payload: None
        self.connected: Callable[[], None] = lambda: None
        self.on_stale: Callable[[bool], None] = lambda _stale: None
        self.restart: Callable[[], None] = lambda: None
        self._database_url = database_url
        self._epoch = epoch
        self._publisher = publisher
        self._clock = clock
        self._told: tuple[int, str | None] = (0, None)  # a position, and what stood there
        self._read_at = clock.monotonic()
        self._woken = Event()
        self._due = False
        self._greenlets: list[Any] = []

    @property
    def stale(self) -> bool:
        """Whether the log could not be read for so long that nobody must call its end current."""
        return self._clock.monotonic() - self._read_at > STALE_S

    def start(self) -> None:
        self._greenlets = [gevent.spawn(self._run), gevent.spawn(self._watch)]

    def stop(self) -> None:
        gevent.killall(self._greenlets)
        self._greenlets = []

    def wake(self) -> None:
        """Something was committed in this process: do not wait for the notification."""
        self._due = True
        self._woken.set()

    def _run(self) -> None:
        pause_s = RETRY_S[0]
        while True:
            began = self._clock.monotonic()
            try:
                self._follow()
            except HistoryChanged:
                _log.critical("history_changed", published=self._publisher.position)
                self.restart()
                return
            except (Exception, gevent.Timeout) as error:
                _log.warning("log_lost", error=f"{type(error).__name__}: {error}")
            if self._clock.monotonic() - began > RETRY_S[1]:
                pause_s = RETRY_S[0]
            gevent.sleep(pause_s * random.uniform(0.5, 1.0))  # noqa: S311
            pause_s = min(pause_s * 2, RETRY_S[1])

    def _watch(self) -> None:
        """Say when it becomes stale: the reading greenlet may be the one that hangs.

        Not at the first look: when this process itself stood still, reading comes next.
        """
        was_stale = looked_stale = False
        while True:
            gevent.sleep(WATCH_S)
            before, looked_stale = looked_stale, self.stale
            if looked_stale != was_stale and (before or was_stale):
                was_stale = not was_stale
                _log.warning("log_stale" if was_stale else "log_current")
                self.on_stale(was_stale)

    def _follow(self) -> None:
        """Connect, listen, read; until the connection is lost, which raises."""
        connection = None
        try:
            with gevent.Timeout(ANSWER_S):
                connection = postgres.connect(self._database_url)
                if not postgres.share(connection):
                    raise ConnectionRefusedError("another program has the database for itself")
                for channel in (postgres.COMMITS, postgres.DELTAS):
                    connection.execute(f"LISTEN {channel}")
            self._poll(connection)
            self.connected()
            self._listen(connection)
        finally:
            if connection is not None:
                connection.close()

    def _listen(self, connection: Any) -> None:
        polled_at = self._clock.monotonic()
        readable = gevent.get_hub().loop.io(connection.fileno(), _READ)
        try:
            while True:
                while self._step(connection):
                    pass  # an answer may have brought notifications along: nothing wakes for those
                readable.start(self._woken.set)
                self._woken.wait(POLL_S)
                readable.stop()
                self._woken.clear()  # before reading: a commit during the read must wake again
                if self._clock.monotonic() - polled_at >= POLL_S:
                    polled_at = self._clock.monotonic()
                    self._poll(connection)
        finally:
            readable.stop()
            readable.close()

    def _step(self, connection: Any) -> bool:
        """Publish what is new in the log, and pass on what came beside it, in the order given.

        So what was committed before a delta is told before it. False when there was nothing.
        """
        due, self._due = self._due, False
        with gevent.Timeout(ANSWER_S):
            notices = list(connection.notifies(timeout=0))
        has_read = False
        for notice in notices:
            if notice.payload:
                self.heard(notice.channel, notice.payload)
            elif not has_read:
                self._read(connection)
                has_read = True
        if due and not has_read:
            self._read(connection)
        return due or bool(notices)

    def _poll(self, connection: Any) -> None:
        self._check_history(connection)
        self._read(connection)

    def _read(self, connection: Any) -> None:
        """Publish page by page until nothing is left."""
        done = False
        while not done:
            asked_at = self._clock.monotonic()
            arguments = (self._publisher.position, PAGE, PAGE_BYTES)
            with gevent.Timeout(ANSWER_S):
                rows = connection.execute(_AFTER, arguments, prepare=True).fetchall()
            events = [LoggedEvent(self._epoch, *row) for row in rows]
            self._publisher.publish(events)
            if events:
                self._told = events[-1].position, _mark_of(events[-1])
            size = sum(len(event.payload) for event in events)
            done = len(events) < PAGE and size < PAGE_BYTES
        self._read_at = asked_at

    def _check_history(self, connection: Any) -> None:
        """See that the log still is the one that was told of. Raises HistoryChanged.

        When a standby without the last commits took over, positions are given a second time: the
        log ends before what was told, or has grown again and something else stands there. So it
        gets a new epoch.
        """
        position = self._publisher.position
        with gevent.Timeout(ANSWER_S):
            answer = connection.execute(_STANDING, (position,), prepare=True)
            epoch, head, stands = answer.fetchone()
            known_at, stood = self._told
            replaced = known_at == position and stood and stands and stood != stands
            continues = head >= position and not replaced
            if epoch == self._epoch and not continues:
                renew = "UPDATE log_state SET epoch = %s WHERE epoch = %s"
                connection.execute(renew, (ids.new_epoch(), epoch))
        if epoch != self._epoch or not continues:
            raise HistoryChanged
        self._told = position, stands


def _mark_of(event: LoggedEvent) -> str:
    """What `_STANDING` gives for it."""
    return f"{event.type} {event.at} {hashlib.sha256(event.payload.encode()).hexdigest()}"
