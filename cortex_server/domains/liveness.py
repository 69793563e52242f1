"""Which sessions say that they work and have said nothing for long: those are stale.

Whatever is told of a session is a sign of life (`sessions.heard`). Text that comes by deltas counts
when it is stored, twice a second, so a delta costs no write of its own.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import literal_column, select

from cortex_server.clock import later
from cortex_server.db.schema import sessions as table
from cortex_server.db.statements import Statement
from cortex_server.domains import project_rows, sessions, settings
from cortex_server.domains.rows import bump
from cortex_server.store import ReadTx, WriteTx

_AT_WORK = ("starting", "working")  # whoever waits for somebody may be silent
_WORKING = Statement(
    select(table.c.id, table.c.project, table.c.seen_at)
    .where(table.c.status.in_([literal_column(f"'{name}'") for name in _AT_WORK]))
    .where(table.c.stale.is_(False))
)


GAP_S = 10.0


@dataclass
class Attention:
    """Since when somebody listens without a gap: a silence that nobody could hear is none.

    begun, last: times (text) of the first look after a gap, and of the last one · put_back:
    whether the clock was, until whoever cares says that it is seen to.
    """

    begun: str | None = None
    last: str | None = None
    put_back: bool = False

    def since(self, now: str) -> str:
        """Look at the clock, as every second or so; returns when the listening began."""
        self.put_back |= self.last is not None and now < self.last
        if (
            self.begun is None
            or self.last is None
            or not self.last <= now <= later(self.last, GAP_S)
        ):
            self.begun = now
        self.last = now
        return self.begun


def silent(tx: ReadTx, since: str) -> list[str]:
    """The ids of sessions at work that said nothing for longer than their project allows.

    since: when it began to be possible to say something; before that nobody could.
    """
    limits: dict[str, str] = {}
    found = []
    for row in sorted(_WORKING.all(tx.conn)):
        if row.project not in limits:
            limits[row.project] = _oldest(tx, row.project)
        # what was heard by a clock that was put back since: then counts when that was noticed
        seen_at = row.seen_at if row.seen_at <= tx.now else since
        if max(seen_at, since) < limits[row.project]:
            found.append(row.id)
    return found


def mark_stale(tx: WriteTx, since: str) -> int:
    """Mark them, and tell it as a session.status each; returns how many they were."""
    found = silent(tx, since)
    for session_id in found:
        session = sessions.get(tx, session_id)
        bump(tx, table, session_id, session, {"stale": True})
        marked = sessions.get(tx, session_id)
        tx.emit("session.status", marked, marked.project, marked.ticket)
    return len(found)


def _oldest(tx: ReadTx, project: str) -> str:
    """The time of the last sign of life that is still good enough."""
    values: dict[str, Any] = settings.project_values(tx, project_rows.get(tx, project))
    return later(tx.now, -values["session_silent_s"])
