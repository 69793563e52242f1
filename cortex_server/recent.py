"""The end of the log in memory, so that many who lag at once do not ask the database."""

from collections import deque
from collections.abc import Iterator
from itertools import islice

from cortex_server.log import LoggedEvent

RECENT_BYTES = 8_388_608
_EVENT_BYTES = 600  # of an event's own objects; its payload may be held twice, encoded and not


class Recent:
    """The last events that were published, without a gap, in about `max_bytes` of memory."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._events: deque[LoggedEvent] = deque()

    def add(self, event: LoggedEvent) -> None:
        self._events.append(event)
        self._bytes += _size(event)
        while self._bytes > self._max_bytes:
            self._bytes -= _size(self._events.popleft())

    def clear(self) -> None:
        self._events.clear()
        self._bytes = 0

    def after(self, cursor: int) -> Iterator[LoggedEvent] | None:
        """The events behind `cursor`, oldest first; None when not all of them are here."""
        if not self._events or cursor + 1 < self._events[0].position:
            return None
        return islice(self._events, cursor + 1 - self._events[0].position, None)

    def __len__(self) -> int:
        return len(self._events)


def _size(event: LoggedEvent) -> int:
    return _EVENT_BYTES + 2 * len(event.payload)
