"""The log of an attempt: what its agent and its runner said, numbered from 1 without a hole."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import bindparam, func, select

from cortex_server.db.statements import Statement, insertion
from cortex_server.db.work import attempt_log
from cortex_server.domains import pages
from cortex_server.domains.pages import Listing
from cortex_server.domains.redaction import redacted
from cortex_server.events.work import Attempt, LogEntry
from cortex_server.store import ReadTx, WriteTx

_OF = attempt_log.c.attempt == bindparam("of")
_LAST = Statement(select(func.max(attempt_log.c.number)).where(_OF))
_AFTER = Statement(
    select(attempt_log)
    .where(_OF, attempt_log.c.number > bindparam("after"))
    .order_by(attempt_log.c.number)
    .limit(bindparam("most"))
)
_TAIL = Statement(
    select(attempt_log)
    .where(_OF, attempt_log.c.number < bindparam("before"))
    .order_by(attempt_log.c.number.desc())
    .limit(bindparam("most"))
)
_END = 2**31 - 1  # no entry has a number as high


def append(tx: WriteTx, attempt: Attempt, entries: Sequence[dict[str, Any]]) -> list[LogEntry]:
    """Add entries {kind, text, tool?} in their order, without secrets; an event for each."""
    first = int(_LAST.scalar(tx.conn, of=attempt.id) or 0) + 1
    added = [
        LogEntry(
            attempt=attempt.id,
            number=number,
            kind=entry["kind"],
            text=redacted(entry["text"]),
            tool=entry.get("tool"),
            at=tx.now,
        )
        for number, entry in enumerate(entries, start=first)
    ]
    if added:
        insertion(attempt_log).run_many(tx.conn, [entry.model_dump() for entry in added])
    for entry in added:
        tx.emit("attempt.log", entry, attempt.project, attempt.ticket)
    return added


def after(tx: ReadTx, attempt_id: str, number: int, limit: int) -> Listing[LogEntry]:
    """The entries that follow the one with this number, oldest first; 0 for the beginning."""
    rows = _AFTER.all(tx.conn, of=attempt_id, after=number, most=limit + 1)
    return pages.page(rows, limit, _entry, lambda row: pages.encode(row.number))


def tail(tx: ReadTx, attempt_id: str, count: int, before: int | None = None) -> Listing[LogEntry]:
    """The last entries, or the last before the one with this number; oldest first."""
    rows = _TAIL.all(tx.conn, of=attempt_id, most=count, before=before or _END)
    return Listing([_entry(row) for row in reversed(rows)], None)


def _entry(row: Any) -> LogEntry:
    return LogEntry.model_validate(row._asdict())
