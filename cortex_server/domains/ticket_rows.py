"""Reading tickets with their labels and dependencies."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, bindparam, func, select

from cortex_server.db.schema import labels, ticket_dependencies, ticket_labels, tickets
from cortex_server.db.statements import Statement
from cortex_server.errors import NotFound
from cortex_server.events.objects import Ticket
from cortex_server.store import ReadTx

_CHUNK = 500  # keys in one IN list; SQLite allows 32,766 variables, older ones 999
_BY_ID = Statement(select(tickets).where(tickets.c.id == bindparam("ref")))
_BY_KEY = Statement(select(tickets).where(func.lower(tickets.c.key) == bindparam("ref")))
_LABELS = Statement(
    select(labels.c.name)
    .join(ticket_labels, labels.c.id == ticket_labels.c.label)
    .where(ticket_labels.c.ticket == bindparam("key"))
)
_NEEDS = Statement(
    select(ticket_dependencies.c.depends_on).where(ticket_dependencies.c.ticket == bindparam("key"))
)


def find(tx: ReadTx, ref: str) -> Ticket | None:
    """The ticket of this key, in any case, or of this id."""
    folded = ref.lower()
    is_id = len(ref) == 36 and ref.count("-") == 4
    row = (_BY_ID if is_id else _BY_KEY).one_or_none(tx.conn, ref=folded)
    if row is None:
        return None
    names = [label.name for label in _LABELS.all(tx.conn, key=row.key)]
    needs = [other.depends_on for other in _NEEDS.all(tx.conn, key=row.key)]
    return from_row(row, names, needs)


def get(tx: ReadTx, ref: str) -> Ticket:
    ticket = find(tx, ref)
    if ticket is None:
        raise NotFound(f"There is no ticket {ref}; `cortex ticket list` shows them.")
    return ticket


def from_rows(tx: ReadTx, rows: Sequence[Row[Any]]) -> list[Ticket]:
    """The tickets of these rows, in their order, with two more queries for every 500 of them."""
    names: dict[str, list[str]] = defaultdict(list)
    needs: dict[str, list[str]] = defaultdict(list)
    for start in range(0, len(rows), _CHUNK):
        keys = [row.key for row in rows[start : start + _CHUNK]]
        labelled = (
            select(ticket_labels.c.ticket, labels.c.name)
            .join(labels, labels.c.id == ticket_labels.c.label)
            .where(ticket_labels.c.ticket.in_(keys))
        )
        for key, name in tx.conn.execute(labelled):
            names[key].append(name)
        where = ticket_dependencies.c.ticket.in_(keys)
        for key, other in tx.conn.execute(select(ticket_dependencies).where(where)):
            needs[key].append(other)
    return [from_row(row, names[row.key], needs[row.key]) for row in rows]


def from_row(row: Any, labels: list[str], depends_on: list[str]) -> Ticket:
    more = {"labels": sorted(labels), "depends_on": sorted(depends_on)}
    return Ticket.model_validate(row._asdict() | more)
