"""Where a card stands in its column."""

from typing import Any

from sqlalchemy import ColumnElement, func, select

from cortex_server.db.schema import tickets
from cortex_server.domains import ranks
from cortex_server.events.objects import Ticket
from cortex_server.store import ReadTx


def position(tx: ReadTx, ticket: Ticket) -> int:
    """How many cards that are not archived stand before it."""
    where = _column(ticket.project, ticket.status) & ~tickets.c.archived
    earlier = where & (tickets.c.rank < ticket.rank)
    return tx.conn.scalar(select(func.count()).select_from(tickets).where(earlier)) or 0


def stays(tx: ReadTx, ticket: Ticket, wanted: int | None) -> bool:
    """True when the card already stands at `wanted` of its own column."""
    if ticket.archived:
        return False
    where = _column(ticket.project, ticket.status) & ~tickets.c.archived
    last = (tx.conn.scalar(select(func.count()).select_from(tickets).where(where)) or 1) - 1
    return position(tx, ticket) == (last if wanted is None else min(wanted, last))


def rank_at(tx: ReadTx, project: str, status: str, wanted: int | None, key: str) -> str:
    """A rank for card `key` at a position of a column (None or beyond the last: the end).

    The neighbour behind is looked for among archived cards too: they keep their ranks, and no two
    cards of a column may ever have the same.
    """
    others = _column(project, status) & (tickets.c.key != key)
    before: Any = None
    if wanted is not None:
        visible = (
            select(tickets.c.rank).where(others & ~tickets.c.archived).order_by(tickets.c.rank)
        )
        if wanted > 0:
            before = tx.conn.scalar(visible.offset(wanted - 1).limit(1))
        at_end = wanted > 0 and before is None
    if wanted is None or at_end:
        before = tx.conn.scalar(select(func.max(tickets.c.rank)).where(others))
        return ranks.between(before, None)
    behind = others if before is None else others & (tickets.c.rank > before)
    return ranks.between(before, tx.conn.scalar(select(func.min(tickets.c.rank)).where(behind)))


def _column(project: str, status: str) -> ColumnElement[bool]:
    return (tickets.c.project == project) & (tickets.c.status == status)
