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
    before: str | None = None
    at_end = wanted is None
    if wanted:
        visible = select(tickets.c.rank).where(others & ~tickets.c.archived)
        before = tx.conn.scalar(visible.order_by(tickets.c.rank).offset(wanted - 1).limit(1))
        at_end = before is None
    if at_end:
        return ranks.between(_last(tx, others), None)
    behind = others if before is None else others & (tickets.c.rank > before)
    return ranks.between(before, _first(tx, behind))


def _first(tx: ReadTx, where: ColumnElement[bool]) -> str | None:
    return min(_edges(tx, where, tickets.c.rank.asc()), default=None)


def _last(tx: ReadTx, where: ColumnElement[bool]) -> str | None:
    return max(_edges(tx, where, tickets.c.rank.desc()), default=None)


def _edges(tx: ReadTx, where: ColumnElement[bool], order: ColumnElement[Any]) -> list[str]:
    """The first rank in this order of the cards and of the archived ones.

    Asked apart, each is one look into the index; together they would read the whole column.
    """
    found = [
        tx.conn.scalar(select(tickets.c.rank).where(where & half).order_by(order).limit(1))
        for half in (~tickets.c.archived, tickets.c.archived)
    ]
    return [rank for rank in found if rank is not None]


def _column(project: str, status: str) -> ColumnElement[bool]:
    return (tickets.c.project == project) & (tickets.c.status == status)
