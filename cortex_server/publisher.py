"""Telling of what was committed: one signal an event, in strict position order."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any

from cortex_server import signals
from cortex_server.clock import Clock
from cortex_server.log import LoggedEvent


class Publisher:
    """The one sender of the events' signals in this process.

    sender: whom the receivers connected for · position: of the newest event that was published, or
    that stood there at the start.
    """

    def __init__(self, sender: Any, clock: Clock, position: int) -> None:
        self.position = position
        self._sender = sender
        self._clock = clock

    def follows(self, events: Sequence[LoggedEvent]) -> bool:
        """Whether nothing is missing between what was published and these events."""
        return not events or events[0].position <= self.position + 1

    def publish(self, events: Sequence[LoggedEvent]) -> None:
        """Send a signal for each event that was not published yet. Never raises, never switches."""
        now = self._clock.monotonic()
        for kind, run in groupby(events, attrgetter("type")):
            signals.send_each(signals.event(kind), self._sender, self._told(run, now))
        signals.send(signals.internal(signals.PUBLISHED), self._sender)

    def _told(self, events: Iterable[LoggedEvent], now: float) -> Iterator[dict[str, Any]]:
        """Those that were not published yet; each counts as published once it was told."""
        for event in events:
            if event.position > self.position:
                event.published_at = now
                yield {"event": event}
                self.position = event.position
