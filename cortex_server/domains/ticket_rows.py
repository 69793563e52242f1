"""Reading tickets with their labels and dependencies."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select

from cortex_server.db.schema import labels, ticket_dependencies, ticket_labels, tickets
from cortex_server.errors import NotFound
from cortex_server.events.objects import Ticket
from cortex_server.store import ReadTx

_CHUNK = 500  # keys in one IN list; SQLite allows 32,766 variables, older ones 999


def find(tx: ReadTx, ref: str) -> Ticket | None:
    """The ticket of this key, in any case, or of this id."""
    folded = ref.lower()
    is_id = len(ref) == 36 and ref.count("-") == 4
    where = tickets.c.id == folded if is_id else func.lower(tickets.c.key) == folded
    row = tx.conn.execute(select(tickets).where(where)).one_or_none()
    return None if row is None else from_rows(tx, [row])[0]


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
    return [
        Ticket.model_validate(
            row._asdict() | {"labels": sorted(names[row.key]), "depends_on": sorted(needs[row.key])}
        )
        for row in rows
    ]
