"""The event log: appended to inside the mutation's transaction, read by everything else.

`position` is global, contiguous and in commit order; `seq` is contiguous per project key.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import Connection, Select, bindparam, delete, select, union_all, update

from cortex_server.db.schema import events, log_state, project_counters
from cortex_server.db.statements import Statement, insertion
from cortex_server.errors import CursorExpired

PRUNE_SLICE = 5_000  # positions


@dataclass(frozen=True)
class LogState:
    """epoch: of this log · head: the newest position · floor: the newest pruned one, or 0."""

    epoch: str
    head: int
    floor: int


@dataclass(slots=True)
class Draft:
    """An event before it has a position. project: its key as written, or "" for none."""

    type: str
    project: str
    ticket: str | None
    at: str
    actor_kind: str
    actor_name: str
    payload: str


@dataclass(slots=True)
class LoggedEvent:
    """An event as it stands in the log; `payload` is JSON text.

    published_at: when its signal was sent, on the monotonic clock; 0 for one read from the log.
    """

    epoch: str
    position: int
    type: str
    project: str
    seq: int | None
    ticket: str | None
    at: str
    actor_kind: str
    actor_name: str
    payload: str
    published_at: float = 0.0
    _frame: bytes = field(default=b"", init=False, repr=False, compare=False)

    @property
    def id(self) -> str:
        return f"{self.epoch}.{self.position}"

    @property
    def data(self) -> str:
        """The value of the frame's `data:` line: one line of ASCII JSON."""
        seq = "null" if self.seq is None else self.seq
        before, after = _around(
            self.type, self.project or None, self.ticket, self.at, self.actor_kind, self.actor_name
        )
        return f'{{"id":"{self.id}",{before},"seq":{seq},{after},"payload":{self.payload}}}'

    @property
    def frame(self) -> bytes:
        """The event as a server-sent event, encoded once for all subscribers."""
        if not self._frame:
            text = f"id: {self.id}\nevent: {self.type}\ndata: {self.data}\n\n"
            self._frame = text.encode()
        return self._frame


@lru_cache(64)
def _around(
    kind: str, project: str | None, ticket: str | None, at: str, actor_kind: str, actor_name: str
) -> tuple[str, str]:
    """What stands before and behind the seq: all events of a mutation have most of it in common."""
    actor = {"kind": actor_kind, "name": actor_name}
    before = encode({"type": kind, "project": project})
    after = encode({"ticket": ticket, "at": at, "actor": actor})
    return before[1:-1], after[1:-1]


_ENCODER = json.JSONEncoder(separators=(",", ":"), ensure_ascii=True, allow_nan=False)


@dataclass(frozen=True)
class Page:
    """events: oldest first · cursor: all up to here was considered · done: that is the head."""

    events: Sequence[LoggedEvent]
    cursor: int
    done: bool


def encode(value: Any) -> str:
    """JSON on one line, ASCII only: no reader can take U+2028 or U+0085 for the end of a line."""
    return _ENCODER.encode(value)


_STATE = Statement(select(log_state.c.epoch, log_state.c.head, log_state.c.floor))
_ADVANCE = Statement(
    update(log_state)
    .values(head=log_state.c.head + bindparam("count"))
    .returning(log_state.c.head, log_state.c.epoch)
)
_ADVANCE_SEQ = Statement(
    update(project_counters)
    .where(project_counters.c.key == bindparam("project"))
    .values(seq=project_counters.c.seq + bindparam("count"))
    .returning(project_counters.c.seq)
)
_SEQ = Statement(
    select(project_counters.c.seq).where(project_counters.c.key == bindparam("project"))
)


def state(conn: Connection) -> LogState:
    row = _STATE.one(conn)
    return LogState(row.epoch, row.head, row.floor)


def append(conn: Connection, drafts: Sequence[Draft]) -> list[LoggedEvent]:
    """Give the drafts their positions and seqs and store them.

    Call it last in the transaction: on PostgreSQL the counter rows stay locked until the commit,
    and always in the order project, then log.
    """
    if not drafts:
        return []
    # Keys that differ in case only are one project's, of which one was deleted before the other.
    counts = Counter(draft.project.lower() for draft in drafts if draft.project)
    next_seq = {
        project: _ADVANCE_SEQ.one(conn, project=project, count=count).seq - count + 1
        for project, count in sorted(counts.items())
    }
    row = _ADVANCE.one(conn, count=len(drafts))
    logged = []
    for position, draft in enumerate(drafts, start=row.head - len(drafts) + 1):
        seq = None
        if draft.project:
            project = draft.project.lower()
            seq = next_seq[project]
            next_seq[project] += 1
        logged.append(
            LoggedEvent(
                row.epoch, position, draft.type, draft.project, seq, draft.ticket, draft.at,
                draft.actor_kind, draft.actor_name, draft.payload,
            )
        )  # fmt: skip
    insertion(events).run_objects(conn, logged)
    return logged


def after(
    conn: Connection,
    cursor: int,
    projects: Iterable[str] | None = None,
    limit: int = 500,
    max_bytes: int = 1_048_576,
) -> Page:
    """Return the events that follow `cursor`, oldest first, at most `limit`.

    cursor: position of the last event seen; 0 means from the beginning.
    projects: only events of these and of no project; None means all.
    max_bytes: of payloads in one page, whose last event may go beyond it.
    Raises CursorExpired when events after `cursor` were pruned: take a snapshot.
    """
    current = state(conn)
    if cursor < current.floor:
        raise CursorExpired(f"events up to position {current.floor} were pruned")
    found: list[LoggedEvent] = []
    size = 0
    # Row by row, or a page of large payloads would be in memory before it is cut.
    with conn.execute(_query(cursor, projects, limit), execution_options=_ROW_BY_ROW) as rows:
        for row in rows:
            found.append(LoggedEvent(current.epoch, *row))
            size += len(found[-1].payload)
            if size >= max_bytes:
                break
    if len(found) == limit or size >= max_bytes:
        return Page(found, found[-1].position, False)
    return Page(found, max(current.head, cursor), True)


def prune(conn: Connection, before: str, keep: int, most: int = PRUNE_SLICE) -> int:
    """Drop events older than `before` and all but the newest `keep`; raise the floor.

    before: a time. The log is read from its old end up to the first event that is not older, so
    an event of a clock that was once wrong takes no newer ones along.
    most: how many positions at a time, so that nobody waits for long. Returns the new floor.
    """
    current = state(conn)
    # No further than this slice goes, or each would read all that the next ones are to drop.
    end = min(current.floor + most, current.head)
    younger = select(events.c.position).where(events.c.position <= end, events.c.at >= before)
    first_kept = conn.scalar(younger.order_by(events.c.position).limit(1))
    by_age = end if first_kept is None else first_kept - 1
    floor = max(min(max(by_age, current.head - keep), end), current.floor)
    if floor > current.floor:
        conn.execute(delete(events).where(events.c.position <= floor))
        conn.execute(update(log_state).values(floor=floor))
    return floor


def seq_of(conn: Connection, project: str) -> int:
    """The seq of the project's newest event; 0 before its first."""
    return _SEQ.scalar(conn, project=project.lower()) or 0


_COLUMNS = list(events.c)
_ROW_BY_ROW = {"stream_results": True, "max_row_buffer": 20}


def _query(cursor: int, projects: Iterable[str] | None, limit: int) -> Select[Any]:
    query = select(*_COLUMNS).order_by(events.c.position).limit(limit)
    if projects is None:
        return query.where(events.c.position > cursor)
    # One ordered index scan for each project, of positions only: a page never sorts the rest of
    # the log, and never holds payloads that it will not send.
    after_cursor = select(events.c.position).where(events.c.position > cursor)
    ordered = after_cursor.order_by(events.c.position).limit(limit)
    scans = [select(ordered.where(events.c.project == key).subquery()) for key in ("", *projects)]
    return query.where(events.c.position.in_(union_all(*scans)))


CursorFault = Literal["epoch", "expired", "future"]


def parse_cursor(text: str) -> tuple[str, int] | None:
    """Split `<epoch>.<position>`; None when it is not of that form."""
    epoch, dot, digits = text.rpartition(".")
    well_formed = dot and epoch.isalnum() and digits.isascii() and digits.isdigit()
    if not (well_formed and len(digits) <= 18 and len(epoch) <= 64):
        return None
    return epoch, int(digits)


def fault(cursor: tuple[str, int], current: LogState) -> CursorFault | None:
    """Why a cursor cannot be served, or None when it can."""
    epoch, position = cursor
    if epoch != current.epoch:
        return "epoch"
    if position > current.head:
        return "future"
    return "expired" if position < current.floor else None
