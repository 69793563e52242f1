"""Fan-out: from one publisher to the bounded queue of every subscriber whose channel matches.

Everything here runs on one gevent hub and never switches between its steps: that is the lock
under which a subscriber is registered, an event is offered, and a lagging subscriber goes live.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, Protocol

from gevent.queue import Empty, SimpleQueue

from cortex_server.events import EVENTS, Audience
from cortex_server.log import LoggedEvent

EPHEMERAL_MAX = 128  # deltas held for one subscriber; the oldest go first, their readers see a hole

EndReason = Literal["lifetime", "drain", "overload", "revoked", "expired", "project_deleted"]


@dataclass(frozen=True)
class Channel:
    """What a subscriber may see and asked to see; equal ones share one entry in the bus.

    project: of a board stream, else None · readable: the project keys of the token, None for all ·
    types: event types, None for all · ticket: a key · deltas: a session id, "*" or None.
    """

    project: str | None = None
    readable: frozenset[str] | None = None
    admin: bool = False
    types: frozenset[str] | None = None
    ticket: str | None = None
    deltas: str | None = None

    def matches(self, event: LoggedEvent) -> bool:
        if self.types is not None and event.type not in self.types:
            return False
        if self.ticket is not None and event.ticket != self.ticket:
            return False
        if event.project:
            return self.reads(event.project)
        return self.admin or EVENTS[event.type].audience is Audience.EVERYONE

    def reads(self, project: str) -> bool:
        if self.project is not None:
            return project == self.project
        return self.readable is None or project in self.readable

    def wants(self, delta: "EphemeralEvent") -> bool:
        if self.deltas not in ("*", delta.session):
            return False
        if self.types is not None and delta.type not in self.types:
            return False
        return self.reads(delta.project) and self.ticket in (None, delta.ticket)

    @property
    def log_projects(self) -> tuple[str, ...] | None:
        """The projects to read from the log, None for all; events of none come along."""
        if self.project is not None:
            return (self.project,)
        return None


@dataclass(frozen=True)
class EphemeralEvent:
    """An event that is not logged and has no id."""

    type: str
    project: str
    ticket: str
    session: str
    frame: bytes


class Observer(Protocol):
    """What the bus counts; metrics implement it."""

    def overflowed(self, frames: int) -> None: ...


class Subscriber:
    """One stream's place in the bus. Starts lagging: it reads the log first, then goes live."""

    def __init__(
        self, channel: Channel, max_events: int, max_bytes: int, observer: Observer
    ) -> None:
        self.channel = channel
        self.lagging = True
        self.gone = False
        self.ending: EndReason | None = None
        # one more: a wake-up (None, and only ever put into an empty queue) takes no event's place
        self._queue: SimpleQueue[LoggedEvent | None] = SimpleQueue(max_events + 1)
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._events = 0  # in the queue, without the wake-up
        self._bytes = 0
        self._deltas: deque[bytes] = deque(maxlen=EPHEMERAL_MAX)
        self._observer = observer

    def offer(self, event: LoggedEvent) -> None:
        """Queue a live event; never blocks. A full queue is dropped: the log still has it all."""
        if self.lagging:
            return
        size = len(event.frame)
        if self._events >= self._max_events or self._bytes + size > self._max_bytes:
            self._observer.overflowed(self._events + 1)
            self.fall_behind()
            return
        self._events += 1
        self._bytes += size
        self._queue.put_nowait(event)

    def fall_behind(self) -> None:
        """Drop what is queued; the stream will read it, and what follows, from the log."""
        while not self._queue.empty():
            self._queue.get_nowait()
        self._events = self._bytes = 0
        self.lagging = True
        self.wake()

    def offer_delta(self, frame: bytes) -> None:
        self._deltas.append(frame)
        self.wake()

    def wake(self) -> None:
        """Make `wait` return even though no event came."""
        if self._queue.empty():
            self._queue.put_nowait(None)

    def end(self, reason: EndReason) -> None:
        """Tell the stream to say goodbye; the first reason stands."""
        self.ending = self.ending or reason
        self.wake()

    def leave(self) -> None:
        """Tell the stream that its client has gone."""
        self.gone = True
        self.wake()

    def wait(self, timeout_s: float, max_bytes: int) -> list[LoggedEvent]:
        """Wait for live events and return what is there, up to about `max_bytes` of frames."""
        taken: list[LoggedEvent] = []
        size = 0
        try:
            item = self._queue.get(timeout=max(timeout_s, 0))
            while True:
                if item is not None:
                    self._events -= 1
                    self._bytes -= len(item.frame)
                    size += len(item.frame)
                    taken.append(item)
                if size >= max_bytes:
                    break
                item = self._queue.get_nowait()
        except Empty:
            pass
        return taken

    def take_deltas(self) -> bytes:
        frames = b"".join(self._deltas)
        self._deltas.clear()
        return frames

    @property
    def idle(self) -> bool:
        """Live, and everything that was offered has been taken."""
        return not self.lagging and self._events == 0


class Bus:
    """The subscribers of one process, by channel. `position` is that of the last event offered."""

    def __init__(self, position: int, max_events: int, max_bytes: int, observer: Observer) -> None:
        self.position = position
        self._max_events = max_events
        self._max_bytes = max_bytes
        self._observer = observer
        self._boards: dict[str, dict[Channel, set[Subscriber]]] = {}
        self._firehoses: dict[Channel, set[Subscriber]] = {}

    def subscribe(self, channel: Channel) -> Subscriber:
        """Register before reading the log or a snapshot: whatever follows will be offered."""
        subscriber = Subscriber(channel, self._max_events, self._max_bytes, self._observer)
        self._channels_for(channel).setdefault(channel, set()).add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        channel = subscriber.channel
        channels = self._channels_for(channel)
        members = channels.get(channel, set())
        members.discard(subscriber)
        if not members:
            channels.pop(channel, None)
        if channel.project is not None and not channels:
            self._boards.pop(channel.project, None)

    def publish(self, event: LoggedEvent) -> None:
        """Offer one event to all whom it concerns. Comes in position order; never blocks."""
        if event.position <= self.position:
            return
        missed = event.position > self.position + 1
        self.position = event.position
        if missed:
            # Committed, yet never offered: nobody knows whom it concerns, so all look at the log.
            self._all_fall_behind()
            return
        for channel, members in self._candidates(event.project):
            if channel.matches(event):
                for subscriber in members:
                    subscriber.offer(event)

    def publish_ephemeral(self, event: EphemeralEvent) -> None:
        for channel, members in self._candidates(event.project):
            if channel.wants(event):
                for subscriber in members:
                    subscriber.offer_delta(event.frame)

    def go_live(self, subscriber: Subscriber, cursor: int) -> bool:
        """Stop lagging if nothing was published after `cursor`; False: read the log again."""
        if self.position > cursor:
            return False
        subscriber.lagging = False
        return True

    @property
    def channels(self) -> int:
        return len(self._firehoses) + sum(len(board) for board in self._boards.values())

    def _all_fall_behind(self) -> None:
        for channels in (self._firehoses, *self._boards.values()):
            for members in channels.values():
                for subscriber in members:
                    subscriber.fall_behind()

    def _channels_for(self, channel: Channel) -> dict[Channel, set[Subscriber]]:
        if channel.project is None:
            return self._firehoses
        return self._boards.setdefault(channel.project, {})

    def _candidates(self, project: str) -> Iterator[tuple[Channel, Iterable[Subscriber]]]:
        yield from self._firehoses.items()
        if project:
            yield from self._boards.get(project, {}).items()
        else:
            for board in self._boards.values():
                yield from board.items()
