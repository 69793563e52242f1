"""The last of what the board's stream brought: events as they came, and what the connection did.

The text of each event is kept, not what it says as objects: that takes a fifth of the memory, and
is read again only for the few that somebody looks at. Appending copies one short chunk, so that a
board with four hundred events a second does not feel it.
"""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from cortex_cli.board.messages import (
    Beat,
    BoardFailed,
    Changed,
    Connected,
    Ended,
    Lost,
    Snapshot,
    Stale,
    StreamMessage,
)
from cortex_cli.board.value import Value

CHUNK = 50
CHUNKS = 1000 // CHUNK  # so many full ones, at most
MOST_TEXT = 4_000_000  # characters of all of it
LONGEST = 200_000  # of one event: what is longer is cut, and no longer JSON
SAID = 300  # characters of what is said in a line

# What the connection did, by the name that stands where an event has its type.
CONNECTED, LOST, RESET, HEARTBEAT, BOARD, END = (
    "connected", "lost", "reset", "heartbeat", "board", "end",
)  # fmt: skip


class Record(NamedTuple):
    """number: counts from 1, over all that ever came. at: when it came, in seconds since the epoch.

    raw: the JSON of an event as it was sent, "" for what is none; that has `said`.
    """

    number: int
    at: float
    type: str
    ticket: str = ""
    actor: str = ""
    raw: str = ""
    said: str = ""


class Journal(Value):
    """chunks: full ones, the oldest first. total: how many ever came. size: characters held."""

    chunks: tuple[tuple[Record, ...], ...] = ()
    last: tuple[Record, ...] = ()
    total: int = 0
    size: int = 0

    def __iter__(self) -> Iterator[Record]:
        for chunk in self.chunks:
            yield from chunk
        yield from self.last

    @property
    def newest(self) -> Record | None:
        chunk = self.last or (self.chunks[-1] if self.chunks else ())
        return chunk[-1] if chunk else None

    def add(self, record: Record) -> "Journal":
        """With one more, numbered; the oldest leave by the chunk."""
        record = record._replace(number=self.total + 1, raw=record.raw[:LONGEST])
        chunks, last = self.chunks, (*self.last, record)
        size = self.size + len(record.raw)
        if len(last) >= CHUNK:
            chunks, last = (*chunks, last), ()
        while chunks and (len(chunks) > CHUNKS or (len(chunks) == CHUNKS and last)
                          or size > MOST_TEXT):  # fmt: skip
            size -= sum(len(gone.raw) for gone in chunks[0])
            chunks = chunks[1:]
        return Journal(chunks, last, record.number, size)


def heard(journal: Journal, message: StreamMessage, now: float) -> Journal:
    """With what a message of the stream says; some say nothing worth a line."""
    if isinstance(message, Changed):
        change = message.change
        if change.gap:
            said = f"{change.gap} events are missing before the next one"
            journal = journal.add(Record(0, now, BOARD, said=said))
        ticket = change.ticket or ""
        return journal.add(Record(0, now, change.type, ticket, change.actor, change.raw))
    done = _said(message)
    return journal.add(Record(0, now, done[0], said=done[1])) if done else journal


def _said(message: StreamMessage) -> tuple[str, str] | None:
    """(type, words) of what the connection did."""
    match message:
        case Connected(resumed=True):
            return CONNECTED, "connected again; what was missed meanwhile follows"
        case Connected():
            return CONNECTED, "connected; a whole board follows"
        case Snapshot(fetched=True):
            return BOARD, f"fetched{_as_of(message.body)}"
        case Snapshot():
            return BOARD, f"whole{_as_of(message.body)}"
        case BoardFailed():
            return BOARD, f"could not be fetched: {message.why}"
        case Stale():
            return RESET, f"events are missing: the cursor cannot be served ({message.reason})"
        case Lost(retry_in=None):
            return LOST, message.why
        case Lost():
            return LOST, f"{message.why} Trying again in {message.retry_in:.1f} s."
        case Ended():
            then = "; coming back" if message.reconnect else ""
            return END, f"the server ended the stream ({message.reason}){then}"
        case Beat(seq=None):
            return HEARTBEAT, ""
        case Beat():
            return HEARTBEAT, f"nothing after seq {message.seq}"
    return None


def _as_of(body: Mapping[str, Any]) -> str:
    seq = body.get("seq")
    return f", as of seq {seq}" if isinstance(seq, int) else ""


_matched: list[tuple[Journal, str, tuple[Record, ...]]] = []


def matching(journal: Journal, filter: str) -> tuple[Record, ...]:
    """Those that have every word of the filter, and in their line none that `!` stands before."""
    if _matched and _matched[0][0] is journal and _matched[0][1] == filter:
        return _matched[0][2]
    wanted = filter.casefold().split()
    found = tuple(record for record in journal if _passes(record, wanted))
    _matched[:] = [(journal, filter, found)]
    return found


def _passes(record: Record, wanted: list[str]) -> bool:
    """A word may be anywhere in the JSON; `!session` leaves out what is of a session, not all that
    names one."""
    if not wanted:
        return True
    line = f"{record.type} {record.ticket} {record.actor} {words(record)}".casefold()
    text = f"{line} {record.raw.casefold()}"
    return all(
        word[1:] not in line if word.startswith("!") else word in text
        for word in wanted
        if word != "!"
    )


@lru_cache(maxsize=512)
def words(record: Record) -> str:
    """What it says, in a few words; not clean."""
    if not record.raw:
        return record.said
    from cortex_cli import event_words  # the first frame can do without

    payload = _read(record.raw).get("payload")
    found = event_words.summary(record.type, payload if isinstance(payload, dict) else {})
    return found[:SAID]


def seq(record: Record) -> str:
    """The number of an event in its project, "" where there is none."""
    found = _read(record.raw).get("seq") if record.raw else None
    return f"#{found}" if isinstance(found, int) else ""


def pretty(record: Record) -> str:
    """The JSON over several lines, as it came where it is none; the words of what is no event."""
    if not record.raw:
        return record.said
    import json

    try:
        return json.dumps(json.loads(record.raw), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return record.raw


@lru_cache(maxsize=64)
def _read(raw: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads(raw)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
