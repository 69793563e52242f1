"""Fan-out: from one publisher to the bounded queue of every subscriber whose channel matches.

Everything here runs on one gevent hub and never switches between its steps: that is the lock
under which a subscriber is registered, an event is offered, and a lagging subscriber goes live.
"""

from collections.abc import Callable, Iterator
from time import monotonic, thread_time
from typing import Any, Protocol

from gevent import get_hub

from cortex_server.batches import batches
from cortex_server.channels import Channel, EphemeralEvent
from cortex_server.log import LoggedEvent
from cortex_server.recent import RECENT_BYTES, Recent
from cortex_server.subscriber import Subscriber

WINDOW_S = 0.01
WINDOW_MAX_S = 1.0
SHARE_MIN, SHARE_MAX = 1.25, 3.0  # fan-out takes about one part in so many of the core
SPARE = 0.1  # of the core, kept free
LOOK_S = 0.1
SLICE = 256  # members that are offered a batch at once: some milliseconds


def window_s(took_s: float, share: float) -> float:
    """How long after the beginning of a round the next one begins, by the CPU time it took."""
    return min(max(WINDOW_S, share * took_s), WINDOW_MAX_S)


class Pace:
    """How much of the core fan-out may take: what everything else leaves, but for a little.

    So rounds follow each other closely while there is little else to do, and where the core does
    not suffice fan-out gives way step by step: what waits to be written is then joined instead.
    """

    def __init__(self) -> None:
        self._looked_at, self._cpu_s = monotonic(), thread_time()
        self._rounds_s = 0.0
        self._share = SHARE_MIN

    def share(self, took_s: float) -> float:
        """The share now, after a round that took so much CPU time."""
        self._rounds_s += took_s
        now = monotonic()
        passed_s = now - self._looked_at
        if passed_s >= LOOK_S:
            cpu_s = thread_time()
            others = max(0.0, cpu_s - self._cpu_s - self._rounds_s) / passed_s
            self._share = share_beside(others)
            self._looked_at, self._cpu_s, self._rounds_s = now, cpu_s, 0.0
        return self._share


def share_beside(others: float) -> float:
    """The share of fan-out beside others that use so much of the core (0 to 1)."""
    left = max(1.0 - SPARE - others, 1.0 / SHARE_MAX)
    return min(max(SHARE_MIN, 1.0 / left), SHARE_MAX)


class Observer(Protocol):
    """What the bus counts, once a round and not once a subscriber; metrics implement it."""

    def offered(self, frames: int) -> None: ...

    def overflowed(self, streams: int, frames: int) -> None: ...

    def written(self, late_s: float) -> None: ...


class Gathering:
    """The subscribers of one channel, and what was published for them since the last round.

    A round joins that once and gives it to every member, a slice of them at a time. After a quiet
    time it comes as soon as all that was committed together is published, so that is in one round.
    While events keep coming, the time between two rounds grows with what a round takes, so with
    the subscribers, and with the load.
    live: the members that do not lag; without any, nothing is gathered.
    """

    def __init__(self, channel: Channel, bus: "Bus") -> None:
        self.channel = channel
        self.members: set[Subscriber] = set()
        self.live = 0
        self._bus = bus
        self._events: list[LoggedEvent] = []
        self._bytes = 0
        self._deltas: list[EphemeralEvent] = []  # that came behind those events
        self._planned = False  # or a round goes on
        self._timer: Any = None
        self._round: Iterator[None] | None = None
        self._round_deltas: list[EphemeralEvent] = []
        self._begun_at = self._published_at = self._took_s = 0.0  # of the round
        self._next_round_at = 0.0

    @property
    def waits(self) -> bool:
        return bool(self._events) or self._round is not None

    def add(self, event: LoggedEvent) -> None:
        """Gather an event for the next round."""
        self._events.append(event)
        self._bytes += len(event.frame)
        if len(self._events) > self._bus.max_events or self._bytes > self._bus.max_bytes:
            self.all_fall_behind()  # no queue has room for so much
        elif not self._planned:
            self._plan_round()

    def add_delta(self, delta: EphemeralEvent) -> None:
        """Pass a delta on, behind the events that were published before it."""
        if self._events:
            self._deltas.append(delta)
        elif self._round is not None:
            self._round_deltas.append(delta)
        else:
            self._offer_delta(delta)

    def _offer_delta(self, delta: EphemeralEvent) -> None:
        for member in self.members:
            member.offer_delta(delta.frame)

    def offer(self) -> None:
        """The round: give what was gathered to all live members."""
        self._stop_timer()
        events, self._events, self._bytes = self._events, [], 0
        if not events:
            self._planned = False
            return
        self._round_deltas, self._deltas = self._deltas, []
        self._begun_at, self._took_s = monotonic(), 0.0
        self._published_at = events[0].published_at
        self._round = self._slices(events)
        self._go_on()

    def _go_on(self) -> None:
        """The next slice of the round. The loop serves others before the one after it."""
        self._stop_timer()
        assert self._round is not None
        begun = thread_time()
        ended = next(self._round, self) is self
        if not ended:
            get_hub().loop.run_callback(self._pause, begun)
            return
        self._round = None
        deltas, self._round_deltas = self._round_deltas, []
        for delta in deltas:
            self._offer_delta(delta)
        if self._took_s:
            for member in self.members:
                if member.ending:
                    member.wake()  # it waited for the end of this round, or it was offered nothing
        # Behind everybody who was woken here: when this comes, they have written.
        get_hub().loop.run_callback(self._end_round, begun)

    def _pause(self, begun_cpu: float) -> None:
        """End a slice, which took what those who were woken in it took, too."""
        self._took_s += thread_time() - begun_cpu
        self._start_timer(0.0, self._go_on)

    def _slices(self, events: list[LoggedEvent]) -> Iterator[None]:
        """Offer the events; between two slices members may come, go and fall behind.

        Who comes has read these events in the log, and who falls behind will read them there.
        """
        members = list(self.members)
        for batch in batches(events, self.channel.project):
            for begin in range(0, len(members), SLICE):
                if begin:
                    yield
                live = [m for m in members[begin : begin + SLICE] if not m.lagging]
                full = [m for m in live if not m.offer(batch)]
                if full:
                    dropped = sum(member.fall_behind() for member in full)
                    self._bus.observer.overflowed(len(full), dropped + len(full) * len(batch))
                self._bus.observer.offered((len(live) - len(full)) * len(batch))

    def _end_round(self, begun_cpu: float) -> None:
        self._planned = False
        # CPU time: what other programs take of the core must not slow this one down even more
        took_s = self._took_s + thread_time() - begun_cpu
        self._next_round_at = self._begun_at + self._bus.window_s(
            took_s, self._bus.pace.share(took_s)
        )
        self._bus.observer.written(monotonic() - self._published_at)
        if self._events:
            self._plan_round()

    def all_fall_behind(self) -> None:
        """Send every live member to the log instead of offering what was gathered."""
        full, gathered = self.live, len(self._events)
        self._events, self._bytes = [], 0
        self._deltas, self._round_deltas = [], []  # they would come before what they continue
        dropped = sum(member.fall_behind() for member in self.members if not member.lagging)
        self._bus.observer.overflowed(full, dropped + full * gathered)

    def _plan_round(self) -> None:
        self._planned = True
        wait_s = self._next_round_at - monotonic()
        if wait_s <= 0:
            self._bus.due(self)
        else:
            self._start_timer(wait_s, self.offer)

    def _start_timer(self, wait_s: float, then: Callable[[], None]) -> None:
        self._timer = get_hub().loop.timer(wait_s)
        self._timer.start(then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None


class Bus:
    """The subscribers of one process, by channel.

    position: of the last event published here: all up to it has been offered, or will be in order,
    to who is live · recent: the last of them · max_events, max_bytes: of one subscriber's queue.
    """

    def __init__(self, position: int, max_events: int, max_bytes: int, observer: Observer) -> None:
        self.position = position
        self.recent = Recent(RECENT_BYTES)
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.observer = observer
        self.window_s = window_s
        self.pace = Pace()
        self._due: list[Gathering] = []
        self._boards: dict[str, dict[Channel, Gathering]] = {}
        self._firehoses: dict[Channel, Gathering] = {}

    def subscribe(self, channel: Channel) -> Subscriber:
        """Register before reading the log or a snapshot: whatever follows will be offered."""
        channels = self._channels_for(channel)
        gathering = channels.get(channel)
        if gathering is None:
            gathering = channels[channel] = Gathering(channel, self)
        subscriber = Subscriber(gathering, self.max_events, self.max_bytes)
        gathering.members.add(subscriber)
        return subscriber

    def unsubscribe(self, subscriber: Subscriber) -> None:
        """Forget a subscriber and free what it holds."""
        subscriber.close()
        channel = subscriber.channel
        channels = self._channels_for(channel)
        members = channels[channel].members if channel in channels else set()
        members.discard(subscriber)
        if not members:
            channels.pop(channel, None)
        if channel.project is not None and not channels:
            self._boards.pop(channel.project, None)

    def publish(self, event: LoggedEvent) -> None:
        """Gather one event for all whom it concerns. Comes in position order; never blocks."""
        if event.position <= self.position:
            return
        missed = event.position > self.position + 1
        self.position = event.position
        if missed:
            # Committed, yet never offered: nobody knows whom it concerns, so all look at the log.
            self.recent.clear()
            self._all_fall_behind()
            return
        self.recent.add(event)
        for gathering in self._candidates(event.project):
            if gathering.live and gathering.channel.matches(event):
                gathering.add(event)

    def publish_ephemeral(self, event: EphemeralEvent) -> None:
        for gathering in self._candidates(event.project):
            if gathering.channel.wants(event):
                gathering.add_delta(event)

    def go_live(self, subscriber: Subscriber, cursor: int) -> bool:
        """Stop lagging if nothing was published after `cursor`; False: read the log again."""
        if self.position > cursor:
            return False
        subscriber.go_live()
        return True

    def due(self, gathering: Gathering) -> None:
        """Let the round of a quiet channel come with `flush`, or else with the next loop turn."""
        if not self._due:
            get_hub().loop.run_callback(self.flush)
        self._due.append(gathering)

    def flush(self) -> None:
        """Offer what quiet channels gathered: all events that belong together have been published.

        So their readers are woken before whoever made the change, who has an answer to write.
        """
        due, self._due = self._due, []
        for gathering in due:
            gathering.offer()

    @property
    def channels(self) -> int:
        return len(self._firehoses) + sum(len(board) for board in self._boards.values())

    def _all_fall_behind(self) -> None:
        for gatherings in (self._firehoses, *self._boards.values()):
            for gathering in gatherings.values():
                gathering.all_fall_behind()

    def _channels_for(self, channel: Channel) -> dict[Channel, Gathering]:
        if channel.project is None:
            return self._firehoses
        return self._boards.setdefault(channel.project, {})

    def _candidates(self, project: str) -> Iterator[Gathering]:
        yield from self._firehoses.values()
        if project:
            yield from self._boards.get(project, {}).values()
        else:
            for board in self._boards.values():
                yield from board.values()
