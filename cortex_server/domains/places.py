"""Where a card stands in its column."""

from sqlalchemy import ColumnElement, bindparam, func, select

from cortex_server.db.schema import tickets
from cortex_server.db.statements import Statement
from cortex_server.domains import ranks
from cortex_server.events.objects import Ticket
from cortex_server.store import ReadTx

_COLUMN = (tickets.c.project == bindparam("project")) & (tickets.c.status == bindparam("status"))
_VISIBLE = _COLUMN & tickets.c.archived.is_(False)
_OTHER = tickets.c.key != bindparam("key")
_CARDS = Statement(select(func.count()).select_from(tickets).where(_VISIBLE))
_EARLIER = Statement(
    select(func.count()).select_from(tickets).where(_VISIBLE, tickets.c.rank < bindparam("rank"))
)
# Without a look at the keys, which the index does not hold: see _nth.
_FROM_NTH = Statement(
    select(tickets.c.rank)
    .where(_VISIBLE)
    .order_by(tickets.c.rank)
    .offset(bindparam("skipped"))
    .limit(2)
)
_OWN = Statement(select(tickets.c.rank).where(_VISIBLE, tickets.c.key == bindparam("key")))


def _edges(*where: ColumnElement[bool], last: bool = False) -> tuple[Statement, Statement]:
    """The first (or last) rank of the cards, and that of the archived ones.

    Asked apart, each is one look into the index; together they would read the whole column.
    """
    order = tickets.c.rank.desc() if last else tickets.c.rank.asc()
    cards, archived = (
        Statement(
            select(tickets.c.rank)
            .where(_COLUMN, _OTHER, tickets.c.archived.is_(is_archived), *where)
            .order_by(order)
            .limit(1)
        )
        for is_archived in (False, True)
    )
    return cards, archived


_IN_ORDER = Statement(
    select(tickets.c.key, tickets.c.rank).where(_COLUMN, _OTHER).order_by(tickets.c.rank)
)
_FIRST = _edges()
_FIRST_BEHIND = _edges(tickets.c.rank > bindparam("before"))
_LAST = _edges(last=True)


def position(tx: ReadTx, ticket: Ticket) -> int:
    """How many cards that are not archived stand before it."""
    return int(_EARLIER.scalar(tx.conn, rank=ticket.rank, **_column(ticket)))


def stays(tx: ReadTx, ticket: Ticket, wanted: int | None) -> bool:
    """True when the card already stands at `wanted` of its own column."""
    if ticket.archived:
        return False
    last = (_CARDS.scalar(tx.conn, **_column(ticket)) or 1) - 1
    return position(tx, ticket) == (last if wanted is None else min(wanted, last))


def rank_at(tx: ReadTx, project: str, status: str, wanted: int | None, key: str) -> str:
    """A rank for card `key` at a position of a column (None or beyond the last: the end).

    The neighbour behind is looked for among archived cards too: they keep their ranks, and no two
    cards of a column may ever have the same.
    """
    others = {"project": project, "status": status, "key": key}
    before: str | None = None
    at_end = wanted is None
    if wanted:
        before = _nth(tx, wanted - 1, others)
        at_end = before is None
    if at_end:
        return ranks.between(max(_ranks(tx, _LAST, others), default=None), None)
    if before is None:
        behind = _ranks(tx, _FIRST, others)
    else:
        behind = _ranks(tx, _FIRST_BEHIND, {**others, "before": before})
    return ranks.between(before, min(behind, default=None))


def respread(tx: ReadTx, project: str, status: str, key: str) -> list[tuple[str, str]]:
    """New ranks for a column, archived cards too, with equal room between them.

    Returns key and rank of each card whose rank is to change; card `key` is about to get another.
    """
    cards = _IN_ORDER.all(tx.conn, project=project, status=status, key=key)
    spread = zip(cards, ranks.spread(len(cards)), strict=True)
    return [(card.key, rank) for card, rank in spread if card.rank != rank]


def _nth(tx: ReadTx, skipped: int, others: dict[str, str]) -> str | None:
    """The rank of the card at a position among those that are not archived and not this one."""
    column = {name: others[name] for name in ("project", "status")}
    found = [row.rank for row in _FROM_NTH.all(tx.conn, skipped=skipped, **column)]
    own = _OWN.scalar(tx.conn, **others)
    if found and own is not None and own <= found[0]:
        found.pop(0)  # it stands before the place, and is about to leave
    return found[0] if found else None


def _ranks(tx: ReadTx, edges: tuple[Statement, Statement], values: dict[str, str]) -> list[str]:
    found = [edge.scalar(tx.conn, **values) for edge in edges]
    return [rank for rank in found if rank is not None]


def _column(ticket: Ticket) -> dict[str, str]:
    return {"project": ticket.project, "status": ticket.status}
