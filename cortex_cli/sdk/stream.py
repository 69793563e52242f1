"""A stream of values that comes back by itself."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING

from .backoff import Backoff
from .call import Call, ConnectTimeout, unreachable
from .cursor import Cursor
from .decode import reason_of, value_of
from .errors import CortexError, StreamError, refusal_from
from .sse import MAX_EVENT_BYTES, Decoder, Frame
from .values import Connected, End, Event, Reset, State, Value

if TYPE_CHECKING:
    from .connection import Connection

Wait = Callable[[threading.Event, float], object]


def wait_on(wake: threading.Event, seconds: float) -> object:
    """Wait until somebody sets `wake`, at most so many seconds."""
    return wake.wait(seconds)


@dataclass(frozen=True, slots=True)
class Seams:
    """What a stream takes from outside, so that tests bring their own.

    call: makes the request that resumes after a cursor; its `read_s` is for the first frame.
    """

    connection: Callable[[], Connection]
    call: Callable[[str | None, float], Call]
    clock: Callable[[], float]
    wait: Wait
    max_event_bytes: int = MAX_EVENT_BYTES


class EventStream:
    """Iterate it for values; a lost connection is one of them, and it reconnects.

    One thread iterates. `close`, `retry_now` and the attributes are for every thread.

    cursor: the last position that was *handled*: it moves when the next value is asked for, so
        a reader that fails on a value gets it again when it resumes there.
    error: why the stream ended; None while it is open and after `close`.
    """

    def __init__(
        self,
        seams: Seams,
        backoff: Backoff,
        since: str | None = None,
        heartbeat_s: float = 15.0,
        whole_project: str | None = None,
    ) -> None:
        self.cursor = since
        self.error: CortexError | None = None
        self._seams = seams
        self._backoff = backoff
        self._heartbeat_s = heartbeat_s
        self._whole_project = whole_project  # its seq numbers must have no hole
        self._seq: int | None = None
        self._rebased = False  # after a reset any position is new
        self._lock = threading.Lock()
        self._closed = False
        self._waiting = False
        self._wake = threading.Event()
        self._connection: Connection | None = None
        self._values = self._run()

    @property
    def closed(self) -> bool:
        """Say whether `close` was called or the stream gave up."""
        return self._closed

    def __enter__(self) -> EventStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        with contextlib.suppress(ValueError):  # running: the thread that iterates releases it
            self._values.close()

    def __iter__(self) -> Iterator[Value]:
        return self

    def __next__(self) -> Value:
        return next(self._values)

    def close(self) -> None:
        """End the stream now: a reader that waits gets no further value."""
        with self._lock:
            self._closed = True
            self._wake.set()
            if self._connection is not None:
                self._connection.shutdown()

    def retry_now(self) -> None:
        """End the wait for the next attempt; without effect when there is none."""
        with self._lock:
            if self._waiting:
                self._wake.set()

    def _run(self) -> Generator[Value, None, None]:
        """Connect, read, wait, and again."""
        while not self._closed:
            started = self._seams.clock()
            try:
                end = yield from self._read_one_connection()
                fault = None if end is None or end.reconnect else reason_of(end)
            except CortexError as error:
                end, fault = None, error
            finally:
                self._hang_up()
            if self._closed:
                return
            self._prepare_wait()
            if end is not None:
                yield end
            delay = 0.0
            if fault is not None:
                lost = self._backoff.failed(fault)
                if lost.retry_in is None:
                    self.error, self._closed = fault, True
                    yield lost
                    return
                delay = lost.retry_in
                yield lost
            elif end is not None:
                delay = self._backoff.ended(end.reconnect_in_s, self._seams.clock() - started)
            self._wait(delay)

    def _prepare_wait(self) -> None:
        """Take note of `retry_now` from here on: the reader learns of the wait before it begins."""
        with self._lock:
            if not self._closed:
                self._wake.clear()
            self._waiting = True

    def _wait(self, seconds: float) -> None:
        if not self._closed:
            self._seams.wait(self._wake, seconds)
        with self._lock:
            self._waiting = False

    def _read_one_connection(self) -> Generator[Value, None, End | None]:
        """Yield the values of one connection; return its `end`, or None when closed.

        Raises CortexError for every other way in which it ends.
        """
        call = self._seams.call(self.cursor, 3 * self._heartbeat_s)
        connection = self._open(call)
        if connection is None:
            return None
        decoder = Decoder(self._seams.max_event_bytes)
        # The greeting comes at once: its silence, or its bytes one by one, is noticed early.
        due: float | None = self._seams.clock() + call.read_s
        try:
            while True:
                if due is not None:
                    connection.expect_within(max(due - self._seams.clock(), 0.001))
                chunk = connection.read()
                if self._closed:
                    return None
                if not chunk:
                    raise StreamError("The server closed the stream without an `end`.", True)
                for frame in decoder.feed(chunk):
                    if due is not None:
                        due = None
                        connection.expect_within(3 * self._heartbeat_s)
                    self._backoff.hear(decoder.retry_ms)
                    end = yield from self._pass_on(frame, connection)
                    if end is not None or self._closed:
                        return end
        finally:
            self._backoff.hear(decoder.retry_ms)

    def _pass_on(self, frame: Frame, connection: Connection) -> Generator[Value, None, End | None]:
        if frame.data is None:
            self._move(frame.id)
            return None
        value = value_of(frame, self._backoff.base_s)
        if not isinstance(value, Connected | Reset):
            self._backoff.flows()
        match value:
            case End():
                return value
            case Event() if self._is_repeat(frame.id):
                return None
            case Event():
                value = self._with_gap(value)
            case Connected():
                if value.ticket is not None:
                    self._whole_project = None  # what is missing in between is not for us
                connection.expect_within(3 * value.heartbeat_s)
        yield value
        self._handled(value, frame.id)
        return None

    def _handled(self, value: Value, frame_id: str | None) -> None:
        """Move the cursor: the reader came back for the next value."""
        match value:
            case Reset():
                self._seq = None  # the reset itself tells of the gap
            case State():
                self._rebased, self._seq = True, value.seq
                self._move(frame_id)
            case Connected():
                # A resumed stream goes on after *our* cursor, whatever the greeting's id says.
                self._rebased = not value.resumed
                if not value.resumed:
                    self._move(frame_id)
            case Event():
                if value.project is not None and value.project == self._whole_project:
                    self._seq = self._seq if value.seq is None else value.seq
                self._move(frame_id)
            case _:
                self._move(frame_id)

    def _move(self, frame_id: str | None) -> None:
        new = Cursor.find(frame_id)
        if new is not None and not self._is_repeat(frame_id):
            self.cursor, self._rebased = frame_id, False
        elif frame_id == "":
            self.cursor = None  # the server took the last id back

    def _is_repeat(self, frame_id: str | None) -> bool:
        new, old = Cursor.find(frame_id), Cursor.find(self.cursor)
        return not self._rebased and new is not None and old is not None and old.covers(new)

    def _with_gap(self, event: Event) -> Event:
        """Count the events that are missing before this one."""
        if event.project != self._whole_project or event.seq is None or self._seq is None:
            return event
        missing = event.seq - self._seq - 1
        return replace(event, gap=missing) if missing > 0 else event

    def _open(self, call: Call) -> Connection | None:
        """Return a connection that streams; None when closed meanwhile.

        Name resolution cannot be interrupted, and what comes drop by drop is never late, so a
        thread of its own does it: it is abandoned when it takes too long or at `close`, and
        releases what it gets.
        """
        connection, outcome = self._seams.connection(), _Outcome()
        with self._lock:
            if self._closed:
                return None
            self._wake.clear()
            self._connection = connection

        def work() -> None:
            try:
                connection.open(call)
            except BaseException as error:  # raised again by the thread that waits for this one
                outcome.error = error
            with self._lock:
                if self._connection is connection:  # else nobody waits for it any more
                    self._wake.set()

        threading.Thread(target=work, name="cortex-connect", daemon=True).start()
        in_time = self._wake.wait(call.connect_s + call.read_s)
        if self._closed:
            return None
        if not in_time:
            raise unreachable(call, TimeoutError() if connection.reached else ConnectTimeout())
        if outcome.error is not None:
            raise outcome.error
        _check(connection)
        return connection

    def _hang_up(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@dataclass(slots=True)
class _Outcome:
    error: BaseException | None = None


def _check(connection: Connection) -> None:
    """Raise what the answer's head says, unless it is an event stream."""
    status, headers = connection.status, connection.headers
    if status == 204:
        raise StreamError("The server asks not to be called again (204).")
    if status != 200:
        raise refusal_from(status, headers, connection.read_refusal())
    kind = headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if kind != "text/event-stream":
        if not connection.read():
            # http.client takes a head that was cut off for a whole one, with fewer fields.
            raise StreamError("The connection broke in the middle of the server's answer.", True)
        raise StreamError(
            f"The server answered with {kind or 'no content type'} instead of text/event-stream; "
            "is CORTEX_URL a Cortex server?"
        )
    if headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise StreamError("Something on the way compresses the stream; it must pass unchanged.")
