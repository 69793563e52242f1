"""Pages of the log for streams that lag: those at the same place of a channel share one."""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from cortex_server import log
from cortex_server.batches import CHUNK_BYTES, Batch, batches
from cortex_server.bus import Bus
from cortex_server.channels import Channel
from cortex_server.flights import Flights
from cortex_server.log import LoggedEvent
from cortex_server.store import Store

PAGE_BYTES = 4 * CHUNK_BYTES  # every lagging stream may hold one page
KEPT_PAGES = 16


@dataclass(frozen=True)
class Page:
    """batches: what the channel wants, oldest first · cursor: all up to here was considered."""

    batches: tuple[Batch, ...]
    cursor: int


class Pages:
    """Reads the log from memory where it is recent, else from the database; keeps a few pages.

    A kept page is never wrong: the log only grows. It may just end before what is new.
    """

    def __init__(self, store: Store, bus: Bus) -> None:
        self._store = store
        self._bus = bus
        self._flights: Flights[Page] = Flights()
        self._kept: OrderedDict[tuple[Channel, int], Page] = OrderedDict()

    def after(self, channel: Channel, cursor: int) -> Page:
        """What follows `cursor`. Raises CursorExpired when events after it were pruned."""
        if cursor >= self._bus.position:
            return Page((), cursor)  # what is committed and not yet published is still to come
        key = (channel, cursor)
        page = self._kept.get(key)
        if page is None:
            page = self._flights.share(key, lambda: self._read(channel, cursor))
            self._keep(key, page)
        return page

    def _read(self, channel: Channel, cursor: int) -> Page:
        recent = self._bus.recent.after(cursor)
        if recent is not None:
            return _page(channel, recent, self._bus.position)
        with self._store.read() as tx:
            found = log.after(tx.conn, cursor, channel.log_projects, max_bytes=PAGE_BYTES)
        return _page(channel, found.events, found.cursor)

    def _keep(self, key: tuple[Channel, int], page: Page) -> None:
        if page.batches:
            self._kept[key] = page
            if len(self._kept) > KEPT_PAGES:
                self._kept.popitem(last=False)


def _page(channel: Channel, events: Iterable[LoggedEvent], end: int) -> Page:
    """Take what the channel wants until the page is full; then `end` is where that was."""
    wanted, size = [], 0
    for event in events:
        if channel.matches(event):
            wanted.append(event)
            size += len(event.frame)
            if size >= PAGE_BYTES:
                end = event.position
                break
    return Page(tuple(batches(wanted, channel.project)), end)
