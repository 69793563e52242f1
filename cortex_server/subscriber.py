"""One stream's place in the bus: a bounded queue, and the one greenlet that waits at it.

Nothing but `wait` switches greenlets. The rest may be called by anybody, also in the hub.
"""

from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import Any, Literal, Protocol

from gevent import get_hub, getcurrent

from cortex_server.batches import Batch
from cortex_server.channels import Channel

SLACK_S = 0.01  # an alarm may come so much too late
EPHEMERAL_MAX = 128  # deltas held for one subscriber; the oldest go first, their readers see a hole
EPHEMERAL_BYTES = 262_144  # and their bytes, but for the newest

EndReason = Literal["lifetime", "drain", "overload", "revoked", "expired", "project_deleted"]


class Gathering(Protocol):
    """What a subscriber knows of the channel that it shares. live: members that do not lag."""

    channel: Channel
    live: int

    @property
    def waits(self) -> bool:
        """Whether events were published that no member has been offered yet."""
        ...


class Subscriber:
    """Starts lagging: it reads the log first, then goes live.

    max_events, max_bytes: what its queue holds at most.
    """

    __slots__ = (
        "_alarm", "_alarm_at", "_bytes", "_delta_bytes", "_deltas", "_events", "_pass_on", "_queue",
        "_waiter", "_wakeup", "_woken", "ending", "gathering", "gone", "lagging", "max_bytes",
        "max_events",
    )  # fmt: skip

    def __init__(self, gathering: Gathering, max_events: int, max_bytes: int) -> None:
        self.gathering = gathering
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.lagging = True
        self.gone = False
        self.ending: EndReason | None = None
        self._queue: list[Batch] = []  # a deque takes 600 bytes, also when it is empty
        self._events = 0
        self._bytes = 0
        self._deltas: deque[bytes] | None = None
        self._delta_bytes = 0
        self._waiter: Any = None  # the greenlet in `wait`
        self._pass_on: Callable[[Batch], bool] | None = None  # what it waits with
        self._wakeup: Any = None  # the turn of the loop in which it goes on
        self._woken = False
        self._alarm: Any = None
        self._alarm_at = float("inf")

    def offer(self, batch: Batch) -> bool:
        """Pass live events on, or queue them; never blocks. False: the queue has no room."""
        if self._waiter is not None and self._pass_on is not None and self._pass_on(batch):
            return True
        events, size = self._events + len(batch), self._bytes + len(batch.blob)
        if events > self.max_events or size > self.max_bytes:
            return False
        self._events, self._bytes = events, size
        self._queue.append(batch)
        if self._waiter is not None:
            self._resume()
        return True

    def go_live(self) -> None:
        if self.lagging:
            self.lagging = False
            self.gathering.live += 1
            self._woken |= self._deltas is not None  # they have waited for this

    def fall_behind(self) -> int:
        """Drop what is queued; the stream will read it, and what follows, from the log.

        Returns how many events that were.
        """
        dropped, self._queue = self._events, []
        self._events = self._bytes = 0
        if not self.lagging:
            self.lagging = True
            self.gathering.live -= 1
            self.wake()
        return dropped

    def offer_delta(self, frame: bytes) -> None:
        if self._deltas is None:
            self._deltas = deque()
        self._deltas.append(frame)
        self._delta_bytes += len(frame)
        while len(self._deltas) > 1 and (
            len(self._deltas) > EPHEMERAL_MAX or self._delta_bytes > EPHEMERAL_BYTES
        ):
            self._delta_bytes -= len(self._deltas.popleft())
        self.wake()

    def wake(self) -> None:
        """Make `wait` return even though no event came."""
        self._woken = True
        if self._waiter is not None:
            self._resume()

    def end(self, reason: EndReason) -> None:
        """Tell the stream to say goodbye; the first reason stands."""
        self.ending = self.ending or reason
        self.wake()

    def leave(self) -> None:
        """Tell the stream that its client has gone."""
        self.gone = True
        self.wake()

    def close(self) -> None:
        """Let go of everything. The last call."""
        self.fall_behind()
        self._silence()
        self._pass_on = None  # it is of the stream, which holds this

    def wait(
        self, timeout_s: float, max_bytes: int, pass_on: Callable[[Batch], bool] | None = None
    ) -> list[Batch]:
        """Wait for live events and return what is there, one batch or up to `max_bytes` of them.

        May return early and with nothing. pass_on: takes a batch that comes in the meantime, in
        whoever's greenlet offers it and without blocking; the wait goes on. False: queue it.
        """
        if not self._queue and not self._woken and timeout_s > 0:
            self._set_alarm(timeout_s)
            self._waiter, self._pass_on = getcurrent(), pass_on
            try:
                get_hub().switch()
            finally:
                self._waiter = None
                if self._wakeup is not None:
                    # Thrown out of here by somebody else: nobody may resume what comes next.
                    self._wakeup.stop()
                    self._wakeup = None
        self._woken = False
        return self._take(max_bytes)

    @property
    def channel(self) -> Channel:
        return self.gathering.channel

    @property
    def has_deltas(self) -> bool:
        """Whether there are deltas to take, and no events that were published before them."""
        return self._deltas is not None and not (self._queue or self.lagging)

    def take_deltas(self) -> bytes:
        if self._deltas is None:
            return b""
        frames, self._deltas, self._delta_bytes = b"".join(self._deltas), None, 0
        return frames

    @property
    def idle(self) -> bool:
        """Live, and everything that was published for it has been taken."""
        return not (self.lagging or self._queue or self.gathering.waits)

    def _take(self, max_bytes: int) -> list[Batch]:
        if self._bytes <= max_bytes:
            taken, self._queue = self._queue, []
            self._events = self._bytes = 0
            return taken
        count = size = 0
        for batch in self._queue:
            if count and size + len(batch.blob) > max_bytes:
                break
            count += 1
            size += len(batch.blob)
        taken, self._queue = self._queue[:count], self._queue[count:]
        self._events -= sum(len(batch) for batch in taken)
        self._bytes -= size
        return taken

    def _resume(self) -> None:
        waiter, self._waiter = self._waiter, None
        self._wakeup = get_hub().loop.run_callback(waiter.switch)

    def _set_alarm(self, timeout_s: float) -> None:
        """One timer for many waits: it is set anew only when it would ring too late."""
        at = monotonic() + timeout_s
        if at >= self._alarm_at - SLACK_S:
            return
        self._silence()
        self._alarm_at = at
        self._alarm = get_hub().loop.timer(timeout_s)
        self._alarm.start(self._ring)

    def _ring(self) -> None:
        self._silence()
        self.wake()

    def _silence(self) -> None:
        if self._alarm is not None:
            self._alarm.stop()
            self._alarm.close()
            self._alarm = None
        self._alarm_at = float("inf")
