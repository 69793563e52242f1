"""Where streams begin, and pages of the log for those that lag: who asks for the same shares it."""

from collections import OrderedDict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from time import monotonic

from sqlalchemy import bindparam, select

from cortex_server import log
from cortex_server.batches import CHUNK_BYTES, Batch, batches
from cortex_server.bus import Bus
from cortex_server.channels import Channel
from cortex_server.db.schema import events as event_table
from cortex_server.db.statements import Statement
from cortex_server.flights import Flights
from cortex_server.log import CursorFault, LoggedEvent, LogState
from cortex_server.store import ReadTx, Store

PAGE_BATCHES = 4  # every lagging stream may hold one page
PAGE_BYTES = PAGE_BATCHES * CHUNK_BYTES
KEPT_PAGES = 16


KEPT_BEGINNINGS = 64
BEGINNING_S = 1.0  # for so long it may be unknown that more was pruned; reading on finds out
_NEXT_SEQ = Statement(
    select(event_table.c.seq)
    .where(
        event_table.c.project == bindparam("project"), event_table.c.position > bindparam("cursor")
    )
    .order_by(event_table.c.position)
    .limit(1)
)


@dataclass(frozen=True)
class Beginning:
    """Where a stream without a state begins. state: of the log · fault: why not where it asked to
    · cursor: all up to here was considered · seq: the project's there, None without a project.
    """

    state: LogState
    fault: CursorFault | None
    cursor: int
    seq: int | None


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
        self._beginning_flights: Flights[Beginning] = Flights()
        self._beginnings: dict[Hashable, Beginning] = {}
        self._beginnings_of: tuple[int, float] = (-1, 0.0)  # the position, and until when

    def beginning(self, project: str | None, asked: tuple[str, int] | None) -> Beginning:
        """Where a stream begins that asks for what follows `asked`, or for what comes from now on.

        Those who ask for the same while nothing is published share one look at the database.
        """
        position, until = self._beginnings_of
        if position != self._bus.position or monotonic() >= until:
            self._beginnings_of = self._bus.position, monotonic() + BEGINNING_S
            self._beginnings = {}
        key, kept = (project, asked), self._beginnings  # what is begun now belongs to these
        found = kept.get(key)
        if found is None:
            found = self._beginning_flights.share(
                (key, id(kept)), lambda: self._begin(project, asked)
            )
            if found.fault is None and len(kept) < KEPT_BEGINNINGS:
                kept[key] = found
        return found

    def _begin(self, project: str | None, asked: tuple[str, int] | None) -> Beginning:
        with self._store.read() as tx:
            state = log.state(tx.conn)
            fault = log.fault(asked, state) if asked else None
            cursor = asked[1] if asked and not fault else state.head
            seq = None if project is None else _seq_at(tx, project, cursor)
        return Beginning(state, fault, cursor, seq)

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


def _seq_at(tx: ReadTx, project: str, cursor: int) -> int:
    """The seq of the project's last event up to `cursor`, by the first one after it."""
    first: int | None = _NEXT_SEQ.scalar(tx.conn, project=project, cursor=cursor)
    return log.seq_of(tx.conn, project) if first is None else first - 1


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
    found = tuple(batches(wanted, channel.project))
    if len(found) <= PAGE_BATCHES:
        return Page(found, end)
    found = found[:PAGE_BATCHES]  # what little is over comes with the next page, in a full batch
    return Page(found, found[-1].last)
