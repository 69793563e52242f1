"""When tickets last entered a column: what the throughput of the dashboard is counted from.

Kept apart from the log, so that counting costs what was counted, however much else happened, and
also goes on where the log is kept for less than the span.
"""

from datetime import timedelta

from sqlalchemy import bindparam, case, delete, func, select

from cortex_server.clock import iso, parse_iso
from cortex_server.db.schema import arrivals, projects
from cortex_server.db.statements import Statement, insertion
from cortex_server.events.objects import Ticket
from cortex_server.store import ReadTx, WriteTx

SPANS = {"1d": timedelta(days=1), "7d": timedelta(days=7)}

_KEY = (
    (arrivals.c.project == bindparam("project"))
    & (arrivals.c.status == bindparam("status"))
    & (arrivals.c.ticket == bindparam("ticket"))
)
_FORGET = Statement(delete(arrivals).where(_KEY))
_COUNTED = Statement(
    select(
        func.count().label("long"),
        func.coalesce(func.sum(case((arrivals.c.at >= bindparam("short"), 1), else_=0)), 0),
    ).where(
        arrivals.c.project == bindparam("project"),
        arrivals.c.status == bindparam("status"),
        arrivals.c.at >= bindparam("long"),
    )
)
_EXPIRE = Statement(
    delete(arrivals).where(
        arrivals.c.project == bindparam("project"), arrivals.c.at < bindparam("before")
    )
)
_PROJECTS = Statement(select(projects.c.key))


def note(tx: WriteTx, ticket: Ticket) -> None:
    """The ticket has just entered the column that it is in."""
    values = {"project": ticket.project, "status": ticket.status, "ticket": ticket.key}
    _FORGET.run(tx.conn, **values)
    insertion(arrivals).run(tx.conn, **values, at=tx.now)


def throughput(tx: ReadTx, project: str, column: str) -> dict[str, int]:
    """How many tickets entered the column in each span; each counts once."""
    now = parse_iso(tx.now)
    short, long = (iso(now - span) for span in SPANS.values())
    found = _COUNTED.one(tx.conn, project=project, status=column, short=short, long=long)
    return dict(zip(SPANS, (int(found[1]), int(found[0])), strict=True))


def expire(tx: WriteTx) -> None:
    """Drop what is older than the longest span."""
    before = iso(parse_iso(tx.now) - max(SPANS.values()))
    for row in _PROJECTS.all(tx.conn):
        _EXPIRE.run(tx.conn, project=row.key, before=before)
